package proxy

import (
	"net/http"
	"time"
)

// A pacedWriter cuts a client that does not read: each write has writePatience to end. Between writes there is no
// bound, as a response may take as long as the upstream likes.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func paced(w http.ResponseWriter) pacedWriter {
	return pacedWriter{w, http.NewResponseController(w)}
}

// Unwrap is for [http.ResponseController].
func (w pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w pacedWriter) Write(b []byte) (int, error) {
	defer w.begin()()
	return w.ResponseWriter.Write(b)
}

// FlushError is for [http.ResponseController].
func (w pacedWriter) FlushError() error {
	defer w.begin()()
	return w.control.Flush()
}

func (w pacedWriter) begin() (end func()) {
	w.control.SetWriteDeadline(time.Now().Add(writePatience))
	// Over HTTP/2 a deadline ends the response when it passes, whether something is written or not.
	return func() { w.control.SetWriteDeadline(time.Time{}) }
}
