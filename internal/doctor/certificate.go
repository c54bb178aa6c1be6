package doctor

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/candgw/candgw/policy"
)

// soon is how long before its end a certificate is worth a word.
const soon = 14 * 24 * time.Hour

func (n *Node) checkCertificates(r *report) {
	for _, file := range n.Certificates {
		const check = "certificate"
		src, err := policy.ReadSource(file)
		if err != nil {
			r.add(check, Fail, err.Error(), "Put the certificate there, or name its file.")
			continue
		}
		block, _ := pem.Decode(src.Text)
		if block == nil {
			r.add(check, Fail, file+" holds no certificate", "Name a file of certificates in PEM.")
			continue
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			r.add(check, Fail, file+": "+err.Error(), "Name a file of certificates in PEM.")
			continue
		}
		switch left := leaf.NotAfter.Sub(n.Now()); {
		case left <= 0:
			r.add(check, Fail, file+" has expired", "Put a new one in its place and send SIGHUP.")
		case left < soon:
			r.add(check, Warn, fmt.Sprintf("%s expires in %v", file, left.Round(time.Minute)), "Renew it, and send SIGHUP.")
		default:
			r.ok(check, fmt.Sprintf("%s is good for %d days", file, int(left.Hours()/24)))
		}
	}
}
