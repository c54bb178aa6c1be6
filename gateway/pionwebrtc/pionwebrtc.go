// Package pionwebrtc puts a gateway at the peer connections of github.com/pion/webrtc/v3, as the package
// pionice does at the agents under them: what leaves for signaling is encrypted under the key ring, and names
// that come from it are opened with the ring, without a lookup.
//
// Four methods stand in place of those of a [webrtc.PeerConnection]: [Plugin.OnICECandidate],
// [Plugin.AddICECandidate], [Plugin.LocalDescription] and [Plugin.SetRemoteDescription]. All else is done with
// the connection itself. docs/pion.md shows the whole.
//
// It is a module of its own, so that candgw does not depend on pion/webrtc.
package pionwebrtc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pion/webrtc/v3"

	"github.com/candgw/candgw/gateway"
	"github.com/candgw/candgw/gateway/pionice"
)

// A Plugin serves any number of connections of one host, and is safe for concurrent use. It remembers
// nothing of them, and ends with them.
type Plugin struct {
	config pionice.Config
	ice    *pionice.Plugin
}

// New returns a plugin.
func New(config pionice.Config) *Plugin {
	if config.Failed == nil {
		config.Failed = func(error) {}
	}
	return &Plugin{config, pionice.New(config)}
}

// OnICECandidate has f called with each candidate to send that a connection gathers, and with nil after the
// last. A policy may make two of one, or none; what cannot be encrypted is not passed on but told to
// [pionice.Config.Failed].
//
// It replaces the handler that the connection had. f is called by a goroutine of the connection, one call at a
// time, and no longer once the connection is closed. After an ICE restart candidates are encrypted under the new
// credentials, which they name.
func (p *Plugin) OnICECandidate(pc *webrtc.PeerConnection, f func(*webrtc.ICECandidateInit)) {
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if c == nil {
			f(nil)
			return
		}
		ufrag, pwd, err := ownCredentials(pc)
		if pc.SignalingState() == webrtc.SignalingStateClosed {
			return
		}
		if err != nil {
			p.config.Failed(fmt.Errorf("a candidate is not passed on: its credentials: %w", err))
			return
		}
		init := c.ToJSON()
		for _, encrypted := range p.ice.Encrypt(init.Candidate, ufrag, pwd) {
			one := init
			one.Candidate, one.UsernameFragment = encrypted, &ufrag
			f(&one)
		}
	})
}

// ownCredentials returns those that a connection gathers under.
func ownCredentials(pc *webrtc.PeerConnection) (ufrag, pwd string, err error) {
	transport := pc.SCTP().Transport().ICETransport()
	if transport.State() != webrtc.ICETransportStateNew {
		// Not from the description: a restart gathers before there is a new one.
		own, err := transport.GetLocalParameters()
		return own.UsernameFragment, own.Password, err
	}
	// Until the transport has started, it is not safe to ask it while it may start.
	own := pc.LocalDescription()
	if own == nil {
		return "", "", errors.New("the connection has no local description")
	}
	ufrag, pwd = credentials(own.SDP)
	return ufrag, pwd, nil
}

// AddICECandidate gives a connection a candidate that came for it, with the address in place of its name if
// the ring opens that and the policy has it opened. Any other .local name is left to the connection, which asks
// for it by Multicast DNS unless that is disabled. Errors are those of the connection, and of
// [pionice.Plugin.AddRemoteCandidate].
func (p *Plugin) AddICECandidate(pc *webrtc.PeerConnection, candidate webrtc.ICECandidateInit) error {
	if remote := pc.RemoteDescription(); remote != nil && candidate.Candidate != "" { // the connection says what else is wrong
		ufrag, pwd := credentials(remote.SDP)
		opened, err := p.ice.Decrypt(candidate.Candidate, ufrag, pwd)
		if err != nil {
			return err
		}
		candidate.Candidate = opened
	}
	return pc.AddICECandidate(candidate)
}

// LocalDescription returns the description of a connection to send, with what has been gathered until now, and
// nil if it has none yet. The error is one of those of [gateway.Gateway.Encrypt]; with it nothing is to be
// sent. Candidates that should have been encrypted and could not be are left out, and told to
// [pionice.Config.Failed].
func (p *Plugin) LocalDescription(pc *webrtc.PeerConnection) (*webrtc.SessionDescription, error) {
	own := pc.LocalDescription()
	if own == nil {
		return nil, nil
	}
	request, err := p.ice.Request([]byte(own.SDP), gateway.SDP)
	if err != nil {
		return nil, err
	}
	result, err := p.config.Gateway.Encrypt(context.Background(), request) // which the gateway's patience bounds
	if err != nil {
		return nil, fmt.Errorf("the local description: %w", err)
	}
	for _, c := range result.Report.Refused() {
		p.config.Failed(fmt.Errorf("a candidate is not passed on: %w", errors.New(c.Reason)))
	}
	return &webrtc.SessionDescription{Type: own.Type, SDP: string(result.Body)}, nil
}

// SetRemoteDescription gives a connection a description that came for it, with addresses in place of the
// names that the ring opens, if the policy has them opened. Errors are those of the connection, and of
// [gateway.Gateway.Decrypt].
func (p *Plugin) SetRemoteDescription(pc *webrtc.PeerConnection, remote webrtc.SessionDescription) error {
	result, err := p.config.Gateway.Decrypt(context.Background(), gateway.Request{
		Body: []byte(remote.SDP), Format: gateway.SDP, Client: p.config.Client,
	})
	if err != nil {
		return fmt.Errorf("the remote description: %w", err)
	}
	return pc.SetRemoteDescription(webrtc.SessionDescription{Type: remote.Type, SDP: string(result.Body)})
}

// credentials returns the first in a description: a connection takes none in which there are others.
func credentials(sdp string) (ufrag, pwd string) {
	for line := range strings.Lines(sdp) {
		line = strings.TrimRight(line, "\r\n")
		if value, ok := strings.CutPrefix(line, "a=ice-ufrag:"); ok && ufrag == "" {
			ufrag = value
		}
		if value, ok := strings.CutPrefix(line, "a=ice-pwd:"); ok && pwd == "" {
			pwd = value
		}
	}
	return ufrag, pwd
}
