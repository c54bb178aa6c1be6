// Command miekg is what one writes first with github.com/miekg/dns: a server of static names, by UDP.
//
//	miekg ADDRESS ZONEFILE
package main

import (
	"log"
	"os"

	"github.com/miekg/dns"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: miekg ADDRESS ZONEFILE")
	}
	f, err := os.Open(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	records := map[dns.Question]dns.RR{}
	parser := dns.NewZoneParser(f, "", os.Args[2])
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		h := rr.Header()
		records[dns.Question{Name: h.Name, Qtype: h.Rrtype, Qclass: h.Class}] = rr
	}
	if err := parser.Err(); err != nil {
		log.Fatal(err)
	}
	log.Fatal((&dns.Server{Addr: os.Args[1], Net: "udp", Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		if rr := records[q.Question[0]]; rr != nil {
			m.Answer = []dns.RR{rr}
		} else {
			m.Rcode = dns.RcodeNameError
		}
		if err := w.WriteMsg(m); err != nil {
			log.Print(err)
		}
	})}).ListenAndServe())
}
