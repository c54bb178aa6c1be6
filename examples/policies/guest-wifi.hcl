# Guests on the WiFi, beside staff. Guests may call, by way of a relay as from any café; but where
# they are in the network is told to nobody, and where staff is is not told to them.

locals {
  guests = ["10.30.64.0/18", "2001:db8:30:4000::/50"]
  staff  = ["10.30.0.0/16", "2001:db8:30::/48"] # guests' networks are among them
}

# Before staff, because the first policy that matches decides, and staff's networks hold the guests'.
# After it, this one would never be reached for anybody; 'candgw policy check' warns of that.
policy "guests" {
  description = "Guests: hosts dropped, lookups refused"
  clients     = local.guests

  candidate "host" {
    action = "drop"
  }

  # What a STUN or TURN server saw is all that a guest needs; the address behind it is not told.
  candidate "srflx" {
    action          = "keep"
    related_address = "redact"
  }
  candidate "relay" {
    action          = "keep"
    related_address = "redact"
  }

  # An empty list is none: there is nothing that a guest is answered. To leave resolve out does the
  # same, as the policy that matches whoever asks is the last one that is tried.
  resolve {
    addresses = []
  }

  # And no name is opened for a guest on its way in.
  inbound {
    action = "keep"
  }
}

policy "staff" {
  description = "Staff, on cable and on the other WiFi"
  clients     = local.staff

  candidate "host" {
    action    = "encrypt"
    addresses = local.staff
  }

  # No own_links: the server has an interface in the guests' WiFi, and must not answer whoever is
  # near it there.
  resolve {
    addresses = local.staff
  }
}
