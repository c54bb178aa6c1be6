# Nothing but relayed candidates leaves: peers and web sites see the address of a relay and no other,
# not even the public one of the enterprise (RFC 8827, section 6.4). All media then takes the relay,
# so browsers must be given one that has the capacity.

locals {
  office = ["10.50.0.0/16", "2001:db8:50::/48"]
}

# The exception, which must come first: on the enterprise's own page colleagues call each other. Their
# names open inside only, so calls inside need no relay, and nobody outside learns more for it.
policy "colleagues" {
  description = "Offices, on the page of our own"
  clients     = local.office
  origins     = ["https://meet.corp.example.com"]

  candidate "host" {
    action    = "encrypt"
    addresses = local.office
  }

  # The public address of the enterprise is told here neither.
  candidate "srflx" {
    action = "drop"
  }
  candidate "prflx" {
    action = "drop"
  }

  resolve {
    addresses = local.office
  }
}

# No clients: it is for everybody, known or not, and has no resolve: nobody else looks up anything.
policy "relay-only" {
  description = "Everybody else: relayed candidates and nothing else"

  session {
    relay_only = true
  }

  # A relayed candidate comes with the address that the relay saw. That one goes too.
  candidate "relay" {
    action          = "keep"
    related_address = "redact"
  }
}
