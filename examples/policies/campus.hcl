# One campus: browsers on its networks reach each other directly, and the web site that introduces
# them learns no address. A start for most enterprises: put your networks into locals.

locals {
  wired = ["10.20.0.0/16", "2001:db8:20::/48"]
  wifi  = ["10.21.0.0/16", "2001:db8:21::/48"]

  campus = concat(local.wired, local.wifi)
}

policy "campus" {
  description = "Browsers on the campus VLANs"

  # Who signals. For everybody else no policy matches: their host candidates are dropped.
  clients = local.campus

  # The web applications whose signaling comes through here. Leave it out to serve every one.
  origins = ["https://meet.example.com"]

  # The addresses of a browser's own interfaces. A laptop also has some that no peer on the campus
  # can reach: virtual machines, containers, a VPN to somewhere else. They would only tell of it, and
  # cost the peer time, so what is not the campus is dropped.
  candidate "host" {
    action     = "encrypt"
    addresses  = local.campus
    otherwise  = "drop"
    transports = ["udp"] # media goes over UDP; TCP host candidates double the number for nothing
    max        = 16      # per session: two interfaces, both families, and room for more
  }

  # What a STUN or TURN server saw of a browser is public, and needed for peers outside. But the
  # candidate comes with the inside address that it belongs to.
  candidate "srflx" {
    related_address = "redact"
  }
  candidate "relay" {
    related_address = "redact"
  }

  session {
    # SDES sends the media keys through the web site, which could then listen.
    forbid_sdes = true

    # And without a fingerprint there is no DTLS, so media would be in the clear.
    require_fingerprint = true
  }

  # Who may ask what a name stands for. The list is written out because the policy's clients are
  # everybody who signals, and DNS servers that ask for their own clients would be added here alone.
  resolve {
    clients = local.campus

    # What is encrypted above, and nothing else: a name must not lead into the data center.
    addresses = local.campus

    # Longer than it takes to set up a call; a host that changes its address makes a new name.
    ttl = "120s"

    # Lookups a second and host. A call needs a few; whoever tries names out needs millions.
    rate  = 50
    burst = 100
  }

  # Browsers resolve names by themselves, so nothing has to be decrypted on its way in, and nobody
  # gets addresses by asking for that.
  inbound {
    action = "keep"
  }
}
