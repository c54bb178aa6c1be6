package browsers

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/internal/limit"
	"github.com/candgw/candgw/internal/sdp"
	"github.com/candgw/candgw/policy"
)

const (
	maxCandidate = 1 << 10 // octets; no browser makes one half as long
	// maxAddresses is how many raw addresses of a request are looked at, each of which may cost a look at all neighbors.
	maxAddresses = 8
)

// A batch is the candidates of one request.
type batch struct {
	h      *Handler
	client netip.Addr
	page   policy.Origin

	mu  sync.Mutex
	own map[netip.Addr]func() bool // whether raw addresses are the client's, each found out once
}

func (h *Handler) newBatch(client netip.Addr, asked *request) *batch {
	return &batch{h: h, client: client, page: asked.page, own: map[netip.Addr]func() bool{}}
}

// each does something n times at once. It panics where one of them does, so that it is the goroutine of the request that
// does, where that is dealt with.
func (b *batch) each(n int, do func(i int)) {
	var wg sync.WaitGroup
	panics := make(chan any, n)
	for i := range n {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics <- p
				}
			}()
			do(i)
		})
	}
	wg.Wait()
	select {
	case p := <-panics:
		panic(p)
	default:
	}
}

// one deals with a candidate. The error is one of the whole request.
func (b *batch) one(ctx context.Context, c candidate) (answer, gateway.CandidateReport, error) {
	d, why := read(c)
	if why != "" {
		a, r := kept(why)
		return a, r, nil
	}
	cand := &d.Candidates[0]
	if why := b.foreign(ctx, c.Candidate, cand); why != "" {
		a, r := b.unlessDropped(c.Candidate, cand, why)
		return a, r, nil
	}
	ufrag := cand.Ufrag.Of(c.Candidate)
	result, err := b.h.Gateway.Encrypt(ctx, gateway.Request{
		Body: fragment(c, ufrag), Format: gateway.Fragment, Client: b.client, Origin: b.page, Secret: b.h.secretOf(b.client, ufrag, c.Pwd),
	})
	var wrong *sdp.Error
	switch {
	case errors.As(err, &wrong):
		a, r := kept(wrong.What)
		return a, r, nil
	case errors.Is(err, gateway.ErrRefused):
		a, r := dropped(err.Error())
		return a, r, nil
	case err != nil && !errors.Is(err, gateway.ErrNothingLeft):
		return answer{}, gateway.CandidateReport{}, err
	}
	report := result.Report.Candidates[0]
	switch now := candidateIn(result.Body); {
	case report.Refused: // because of what the browser says, not by a policy: it goes on as it would without candgw
		a, r := kept(report.Reason)
		return a, r, nil
	case now == "":
		return answer{Dropped: report.Reason}, report, nil
	case now == c.Candidate:
		return answer{Kept: report.Reason}, report, nil
	default:
		return answer{Candidate: now}, report, nil
	}
}

// kept is for a candidate that goes on as the browser made it. The reason holds nothing of it.
func kept(why string) (answer, gateway.CandidateReport) {
	return answer{Kept: why}, gateway.CandidateReport{Result: gateway.FateKept, Reason: why}
}

func dropped(why string) (answer, gateway.CandidateReport) {
	return answer{Dropped: why}, gateway.CandidateReport{Result: gateway.FateDropped, Reason: why}
}

// foreign returns why what a candidate names cannot be taken for the client's own: nobody has another host's address
// encrypted, whatever type he says it is of, nor learns whether somebody on the link answers for a name of his choice.
func (b *batch) foreign(ctx context.Context, text string, cand *sdp.Candidate) (why string) {
	if addr := cand.Host.Addr; addr.IsValid() {
		asHost := strings.EqualFold(cand.Type.Of(text), "host")
		if a := b.decide(text, cand).Action; (asHost || a == policy.Encrypt || a == policy.Augment) && !b.owns(ctx, addr) {
			return "its address is not known to be the client's own"
		}
		return ""
	}
	if name := strings.ToLower(cand.Host.Of(text)); strings.HasSuffix(strings.TrimSuffix(name, "."), ".local") && !browsersName.MatchString(name) {
		return "its name is none that a browser makes"
	}
	return ""
}

// browsersName matches what browsers make: section 3.1.1 of the mDNS draft.
var browsersName = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.local\.?$`)

// unlessDropped drops a candidate that goes no further if the policy drops it, as it would be if it went on.
func (b *batch) unlessDropped(text string, cand *sdp.Candidate, why string) (answer, gateway.CandidateReport) {
	v := b.decide(text, cand)
	switch {
	case v.Action != policy.Drop:
		return kept(why)
	case v.By == nil:
		return dropped("dropped: no policy matches")
	}
	return dropped("dropped by " + v.By.Rule())
}

// decide asks the policy what becomes of a candidate, as the gateway does.
func (b *batch) decide(text string, cand *sdp.Candidate) policy.Verdict {
	return b.h.Policy().DecideCandidate(policy.Candidate{
		Client: b.client.Unmap().WithZone(""), Origin: b.page, Type: strings.ToLower(cand.Type.Of(text)),
		Transport: strings.ToLower(cand.Transport.Of(text)), Addr: cand.Host.Addr,
	})
}

// read reads a candidate, or returns why it cannot be encrypted.
func read(c candidate) (d *sdp.Description, why string) {
	if len(c.Candidate) > maxCandidate {
		return nil, "it is longer than 1 KiB"
	}
	if !strings.HasPrefix(c.Candidate, "candidate:") || strings.ContainsAny(c.Candidate, "\r\n") {
		return nil, "it is no candidate: want candidate: and its fields"
	}
	d, err := sdp.ParseCandidate(c.Candidate)
	var wrong *sdp.Error
	switch {
	case errors.As(err, &wrong):
		return nil, wrong.What
	case d.Candidates[0].Ufrag.Empty():
		return nil, "it names no ufrag"
	case !fits(c.Pwd):
		return nil, "its ice-pwd is empty, or has a space or another character that no password has"
	}
	return d, ""
}

// fragment returns a candidate with its credentials as application/trickle-ice-sdpfrag: RFC 8840, section 9.
func fragment(c candidate, ufrag string) []byte {
	return []byte("a=ice-ufrag:" + ufrag + "\r\na=ice-pwd:" + c.Pwd + "\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=" + c.Candidate + "\r\n")
}

// fits reports whether a text can stand in a line of SDP as one word.
func fits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// candidateIn returns the first candidate in a fragment, "" if there is none. Where a policy augments it is the one that
// is encrypted: an answer has room for one.
func candidateIn(fragment []byte) string {
	for line := range bytes.Lines(fragment) {
		if c, ok := bytes.CutPrefix(line, []byte("a=candidate:")); ok {
			return "candidate:" + string(bytes.TrimRight(c, "\r\n"))
		}
	}
	return ""
}

// owns reports whether an address is one of the client's host.
func (b *batch) owns(ctx context.Context, addr netip.Addr) bool {
	b.mu.Lock()
	owns, ok := b.own[addr]
	if !ok {
		if len(b.own) == maxAddresses {
			b.mu.Unlock()
			return false
		}
		owns = sync.OnceValue(func() bool { return b.h.SameHost(ctx, b.client, addr, b.h.mayAskFor(b.client)) })
		b.own[addr] = owns
	}
	b.mu.Unlock()
	return owns()
}

func (h *Handler) mayAskFor(client netip.Addr) func() bool {
	return func() bool { return h.asks.Allow(limit.Address(client), neighborRate, neighborBurst, time.Now()) }
}

// secretOf returns what makes the names of raw addresses repeat for a client, a ufrag and a password: those of UDP and
// of TCP, and those that are asked for again, as each candidate is a request to the gateway of its own.
//
// That is no oracle for guesses: a name is compared with another under the same secret alone, so by the same client, and
// raw addresses that are encrypted for a client are its own. A page there that speaks for the extension learns no more than
// by ICE alone: whether a guess is right, it sees by whether the browser reaches itself.
func (h *Handler) secretOf(client netip.Addr, ufrag, pwd string) []byte {
	mac := hmac.New(sha256.New, h.secret[:])
	for _, part := range []string{client.Unmap().String(), ufrag, pwd} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}
