# Everybody.

case "host candidate does not leave" {
  client    = "10.50.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 10.50.3.4 50000 typ host"
  expect {
    result = "dropped"
    policy = "relay-only"
    by     = "session, relay_only"
  }
}

case "browser's name does not leave" {
  client    = "10.50.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result = "dropped"
    by     = "session, relay_only"
  }
}

case "public address does not leave" {
  client    = "10.50.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:2 1 udp 1686052607 192.0.2.7 50000 typ srflx raddr 10.50.3.4 rport 50000"
  expect {
    result = "dropped"
    by     = "session, relay_only"
  }
}

case "peer-reflexive address does not leave" {
  client    = "2001:db8:50::4"
  candidate = "candidate:2 1 udp 1686052607 2001:db8:ffff::7 50000 typ prflx raddr 2001:db8:50::4 rport 50000"
  expect {
    result = "dropped"
    by     = "session, relay_only"
  }
}

case "relayed candidate leaves, and tells only the relay" {
  client    = "10.50.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:3 1 udp 41885439 203.0.113.9 50000 typ relay raddr 192.0.2.7 rport 50000"
  expect {
    result   = "kept"
    policy   = "relay-only"
    contains = ["203.0.113.9 50000 typ relay raddr 0.0.0.0 rport 9"]
    lacks    = ["192.0.2.7"]
  }
}

case "relayed candidate of IPv6 leaves, and tells only the relay" {
  client    = "2001:db8:50::4"
  candidate = "candidate:3 1 udp 41885439 2001:db8:ffff::9 50000 typ relay raddr 2001:db8:ffff::7 rport 50000"
  expect {
    result   = "kept"
    contains = ["2001:db8:ffff::9 50000 typ relay raddr :: rport 9"]
    lacks    = ["2001:db8:ffff::7"]
  }
}

case "client of whom nothing is known has its relay, and no more" {
  description = file("offer.sdp")
  expect {
    result   = "passed"
    policy   = "relay-only"
    kept     = 1
    dropped  = 3
    contains = ["203.0.113.9 50000 typ relay"]
    lacks    = ["10.20.3.4", "192.0.2.7"]
  }
}

# Colleagues.

case "colleague is encrypted on our own page" {
  client    = "10.50.3.4"
  origin    = "https://meet.corp.example.com"
  candidate = "candidate:1 1 udp 2122260223 10.50.3.4 50000 typ host"
  expect {
    result = "encrypted"
    policy = "colleagues"
    lacks  = ["10.50.3.4"]
  }
}

case "colleague is encrypted over IPv6" {
  client    = "2001:db8:50::4"
  origin    = "https://meet.corp.example.com"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:50::4 50000 typ host"
  expect {
    result = "encrypted"
    policy = "colleagues"
  }
}

case "colleague's public address is told to nobody" {
  client    = "10.50.3.4"
  origin    = "https://meet.corp.example.com"
  candidate = "candidate:2 1 udp 1686052607 192.0.2.7 50000 typ srflx raddr 10.50.3.4 rport 50000"
  expect {
    result = "dropped"
    by     = "candidate \"srflx\", action"
  }
}

case "colleague's peer-reflexive address is told to nobody" {
  client    = "10.50.3.4"
  origin    = "https://meet.corp.example.com"
  candidate = "candidate:2 1 udp 1686052607 192.0.2.7 50000 typ prflx raddr 10.50.3.4 rport 50000"
  expect {
    result = "dropped"
    by     = "candidate \"prflx\", action"
  }
}

case "virtual machine's bridge at a colleague's is dropped" {
  client    = "10.50.3.4"
  origin    = "https://meet.corp.example.com"
  candidate = "candidate:1 1 udp 2122260223 192.168.122.1 50000 typ host"
  expect {
    result = "dropped"
    policy = "colleagues"
  }
}

case "colleague at home uses the relay" {
  client    = "198.51.100.20"
  origin    = "https://meet.corp.example.com"
  candidate = "candidate:1 1 udp 2122260223 192.168.1.20 50000 typ host"
  expect {
    result = "dropped"
    policy = "relay-only"
  }
}

# Lookups.

case "office looks up the office" {
  lookup = "10.50.3.4"
  from   = "10.50.9.9"
  expect {
    result = "answered"
    policy = "colleagues"
  }
}

case "office looks up the office over IPv6" {
  lookup = "2001:db8:50::4"
  from   = "2001:db8:50::9"
  expect {
    result = "answered"
  }
}

case "office looks up nothing else" {
  lookup = "10.99.0.1"
  from   = "10.50.9.9"
  expect {
    result = "refused"
    by     = "resolve, addresses"
  }
}

case "nobody else looks up the office" {
  lookup = "10.50.3.4"
  from   = "10.99.0.1"
  expect {
    result = "refused"
    policy = "relay-only"
  }
}
