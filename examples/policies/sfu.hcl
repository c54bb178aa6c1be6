# A media server (SFU) of one's own, inside. It resolves no names, so the gateway gives it addresses;
# the web site in between, which introduces browsers and server, gets none of either. docs/sfu.md has the
# signaling blocks that pass everything through the gateway. A web site of one's own can call the API:
#
#   browser --> POST /v1/encrypt --> web site --> POST /v1/decrypt --> media server
#
# Whoever does says for whom with client=: for what browsers send the browser's address, for what goes to
# the server the server's.

locals {
  servers  = ["10.40.0.10/32", "2001:db8:40::10/128"] # each address that a media server signals from
  browsers = ["10.20.0.0/16", "2001:db8:20::/48"]
  media    = ["10.40.0.0/24", "2001:db8:40::/64"] # and those that its media goes to
}

policy "media-server" {
  description = "The media server: names become addresses on their way to it"
  clients     = local.servers

  # For the server's addresses alone, so that nobody else can have a name opened here.
  inbound {
    action = "decrypt"
  }

  # The server's own candidates go through the web site to the browsers, which resolve them as those
  # of any other peer.
  candidate "host" {
    action    = "encrypt"
    addresses = local.media
  }
}

# The one page for which browsers need no names: that of the media server itself, which runs inside,
# and whose descriptions reach the server without the gateway. A browser's name becomes the address.
#
# That page's scripts see the addresses. So it is one origin, on a host of one's own, and for one's own
# browsers; a site on the Internet never stands here. Leave this policy out if every description
# to the server passes /v1/decrypt.
policy "own-rooms" {
  description = "The media server's own page"
  clients     = local.browsers
  origins     = ["https://rooms.corp.example.com"]

  candidate "host" {
    action    = "reveal"
    addresses = local.browsers
  }

  # Only what its own browsers send is told, not what names of other pages stand for.
  inbound {
    action = "keep"
  }
}

policy "browsers" {
  description = "Browsers, on every other page"
  clients     = local.browsers

  candidate "host" {
    action    = "encrypt"
    addresses = local.browsers
  }

  # Browsers look up the server, and each other where a call has no server.
  resolve {
    addresses = concat(local.browsers, local.media)
  }

  # What is on its way to a browser stays a name, here too.
  inbound {
    action = "keep"
  }
}
