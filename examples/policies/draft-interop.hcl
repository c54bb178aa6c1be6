# Endpoints that hold the key themselves, as draft-wang-mmusic-encrypted-ice-candidates has it: native
# clients and room systems, not browsers. They need keys of the draft's suites beside the usual one:
#
#   candgw keys generate --suite aes-gcm --state active
#
# 'candgw policy check' warns of these suites, for a reason: the draft encrypts every address of a
# session under the same key and IV, so two of them tell their difference. Candgw encrypts one address of
# each ice-pwd and drops every other. Use them where an endpoint knows nothing else, and only there.

locals {
  softphones = ["10.60.0.0/16", "2001:db8:60::/48"]
  rooms      = ["10.61.0.0/16", "2001:db8:61::/48"]
  browsers   = ["10.20.0.0/16", "2001:db8:20::/48"]

  inside = concat(local.softphones, local.rooms, local.browsers)
}

policy "softphones" {
  description = "Clients that have the key: the address stands in the candidate, encrypted"
  clients     = local.softphones

  # The first address that is listed takes the one place that there is, so only that of the voice
  # network is. A peer without the key sees the candidate as 0.0.0.0 and ignores it.
  candidate "host" {
    action     = "encrypt"
    addresses  = local.softphones
    transports = ["udp"]
  }

  # "candidate:1 1 udp 1 0.0.0.0 50000 typ host addrtype inipv4 ciphertext … cryptoparams …". Which
  # key it was stands in it already, so that the extension keyid is not needed.
  name {
    suite      = "aes-gcm"
    form       = "extension"
    extensions = ["addrtype"]
  }

  # There is nothing to look up for who can read it, and no resolve; but where a browser calls one of
  # these clients, that gets the browser's name, and asks.
  resolve {
    addresses = local.browsers
  }
}

policy "room-systems" {
  description = "Endpoints that take the draft's names, and ask DNS for them"
  clients     = local.rooms

  candidate "host" {
    action     = "encrypt"
    addresses  = local.rooms
    transports = ["udp"]
  }

  # Whether to ask for A or AAAA, and under which key a name was made, is for them to read.
  name {
    suite      = "aes-gcm"
    form       = "name"
    extensions = ["addrtype", "keyid"]
  }

  # A name of the draft opens only with the ice-pwd of its session, which the server knows that
  # the signaling passed: endpoints must ask that one.
  resolve {
    addresses = local.inside
  }
}

policy "browsers" {
  description = "Browsers, which take no other names than those of the suite aes-uuid"
  clients     = local.browsers

  candidate "host" {
    action    = "encrypt"
    addresses = local.browsers
  }

  resolve {
    addresses = local.inside
  }
}
