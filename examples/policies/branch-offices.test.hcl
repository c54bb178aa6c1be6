case "browser in Berlin is encrypted" {
  client    = "10.1.5.6"
  candidate = "candidate:1 1 udp 2122260223 10.1.5.6 50000 typ host"
  expect {
    result = "encrypted"
    policy = "sites"
    lacks  = ["10.1.5.6"]
  }
}

case "browser in Porto is encrypted over IPv6" {
  client    = "2001:db8:3::6"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:3::6 50000 typ host"
  expect {
    result = "encrypted"
    policy = "sites"
    lacks  = ["2001:db8:3::6"]
  }
}

case "home network behind a laptop is dropped" {
  client    = "10.1.5.6"
  candidate = "candidate:1 1 udp 2122260223 192.168.1.20 50000 typ host"
  expect {
    result = "dropped"
    by     = "candidate \"host\", addresses"
  }
}

case "public address of a browser is kept, without the inside one" {
  client    = "10.2.5.6"
  candidate = "candidate:2 1 udp 1686052607 192.0.2.7 50000 typ srflx raddr 10.2.5.6 rport 50000"
  expect {
    result = "kept"
    lacks  = ["10.2.5.6"]
  }
}

case "site that is not in the list is not served" {
  client    = "10.4.5.6"
  candidate = "candidate:1 1 udp 2122260223 10.4.5.6 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

case "unknown client is not served" {
  candidate = "candidate:1 1 udp 2122260223 10.1.5.6 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

# Lookups of all sites, for all sites.

case "Lyon looks up Lyon" {
  lookup = "10.2.5.6"
  from   = "10.2.7.8"
  expect {
    result = "answered"
    policy = "sites"
  }
}

case "Lyon looks up Berlin" {
  lookup = "10.1.5.6"
  from   = "10.2.7.8"
  expect {
    result = "answered"
  }
}

case "Berlin looks up Porto over IPv6" {
  lookup = "2001:db8:3::6"
  from   = "2001:db8:1::8"
  expect {
    result = "answered"
  }
}

case "address that no site has is not answered" {
  lookup = "10.4.5.6"
  from   = "10.2.7.8"
  expect {
    result = "refused"
    by     = "resolve, addresses"
  }
}

case "somebody on the Internet gets no answer" {
  lookup = "10.1.5.6"
  from   = "198.51.100.20"
  expect {
    result = "refused"
    policy = ""
  }
}

# Guests.

case "address of a guest in Berlin is dropped" {
  client    = "10.1.240.9"
  candidate = "candidate:1 1 udp 2122260223 10.1.240.9 50000 typ host"
  expect {
    result = "dropped"
    policy = "guests"
  }
}

case "address of a guest in Porto is dropped, at the end of the network" {
  client    = "10.3.255.254"
  candidate = "candidate:1 1 udp 2122260223 10.3.255.254 50000 typ host"
  expect {
    result = "dropped"
    policy = "guests"
  }
}

case "IPv6 address of a guest in Lyon is dropped" {
  client    = "2001:db8:2:f000::9"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:2:f000::9 50000 typ host"
  expect {
    result = "dropped"
    policy = "guests"
  }
}

case "guest can use a relay" {
  client    = "10.1.240.9"
  candidate = "candidate:3 1 udp 41885439 203.0.113.9 50000 typ relay raddr 10.1.240.9 rport 50000"
  expect {
    result = "kept"
    policy = "guests"
    lacks  = ["10.1.240.9"]
  }
}

case "no name is opened for a guest" {
  client    = "10.1.240.9"
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 10.1.5.6 50000 typ host"
  expect {
    result = "kept"
    policy = "guests"
    lacks  = ["10.1.5.6"]
  }
}

case "last address before the guests is of the site" {
  client    = "10.1.239.255"
  candidate = "candidate:1 1 udp 2122260223 10.1.239.255 50000 typ host"
  expect {
    result = "encrypted"
    policy = "sites"
  }
}

case "guest in Berlin gets no answer" {
  lookup = "10.1.5.6"
  from   = "10.1.240.9"
  expect {
    result = "refused"
    policy = "guests"
  }
}

case "guest gets no answer over IPv6" {
  lookup = "2001:db8:1::6"
  from   = "2001:db8:1:f000::9"
  expect {
    result = "refused"
    policy = "guests"
  }
}

case "guest on a link of the server gets no answer" {
  lookup  = "10.1.5.6"
  from    = "10.1.240.9"
  on_link = true
  expect {
    result = "refused"
    policy = "guests"
  }
}
