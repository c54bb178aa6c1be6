# Several sites that a VPN connects. Browsers of one site call those of another, and media takes the
# VPN directly in place of a relay on the Internet.
#
# Every site runs candgw with the same key ring and these same files, so that each can answer for the
# names of all. One policy is for all sites: they would differ in nothing but their clients.

locals {
  sites = file_lines("branch-offices.txt")

  # Every site has its guests in the last sixteenth of its networks: 10.1.240.0/20 and
  # 2001:db8:1:f000::/52 in Berlin.
  guests = [
    cidrsubnet("10.1.0.0/16", 4, 15),
    cidrsubnet("10.2.0.0/16", 4, 15),
    cidrsubnet("10.3.0.0/16", 4, 15),
    cidrsubnet("2001:db8:1::/48", 4, 15),
    cidrsubnet("2001:db8:2::/48", 4, 15),
    cidrsubnet("2001:db8:3::/48", 4, 15),
  ]
}

# Guests come first, because their networks are inside those of the sites, and the first policy that
# matches decides. They can call through a relay as from anywhere else, but their own addresses are not
# passed on, and they are answered no lookup, as this policy has no resolve.
policy "guests" {
  description = "Guests of any site: nothing of ours"
  clients     = local.guests

  candidate "host" {
    action = "drop"
  }

  # Nor is a name opened for them on its way in.
  inbound {
    action = "keep"
  }
}

policy "sites" {
  description = "Browsers of every site"
  clients     = local.sites

  # What the VPN routes. A home network behind somebody's laptop is not among it.
  candidate "host" {
    action    = "encrypt"
    addresses = local.sites
  }

  # Unless otherwise said, lookups come from the clients above: a browser in Lyon asks the server in
  # Lyon for a name that was made in Berlin.
  resolve {
    addresses = local.sites

    # The server stands on the guests' networks too, at some sites. To be near it is no reason to be
    # answered.
    own_links = false
  }
}
