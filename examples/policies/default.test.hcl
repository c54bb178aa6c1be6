# Candidates. Who signals does not matter, known or not.

case "private address of a client of whom nothing is known is encrypted" {
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result   = "encrypted"
    policy   = "default"
    contains = [".local 50000 typ host"]
    lacks    = ["10.20.3.4"]
  }
}

case "private IPv6 address is encrypted" {
  client    = "fd12:3456:789a:1::2"
  candidate = "candidate:1 1 udp 2122260223 fd12:3456:789a:1::2 50000 typ host"
  expect {
    result = "encrypted"
    lacks  = ["fd12:3456"]
  }
}

case "global address of an interface is encrypted" {
  client    = "198.51.100.20"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:77:1::2 50000 typ host"
  expect {
    result = "encrypted"
    lacks  = ["2001:db8"]
  }
}

case "TCP candidate is encrypted" {
  candidate = "candidate:1 1 tcp 1518280447 10.20.3.4 9 typ host tcptype active"
  expect {
    result = "encrypted"
  }
}

case "browser's name is encrypted" {
  client    = "10.20.3.4"
  names     = { "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" = "10.20.3.4" }
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result = "encrypted"
    lacks  = ["884bd1f6-e28c-4b96-a9b8-90941f7bc52c"]
  }
}

case "address that no other host can reach is dropped" {
  candidate = "candidate:1 1 udp 2122260223 127.0.0.1 50000 typ host"
  expect {
    result = "dropped"
  }
}

case "link-local address is dropped" {
  candidate = "candidate:1 1 udp 2122260223 fe80::1 50000 typ host"
  expect {
    result = "dropped"
  }
}

case "address behind a server-reflexive one is redacted" {
  candidate = "candidate:2 1 udp 1686052607 192.0.2.7 50000 typ srflx raddr 10.20.3.4 rport 50000"
  expect {
    result   = "kept"
    redacted = 1
    contains = ["192.0.2.7 50000 typ srflx raddr 0.0.0.0 rport 9"]
    lacks    = ["10.20.3.4"]
  }
}

case "address behind a peer-reflexive one is redacted" {
  candidate = "candidate:2 1 udp 1686052607 2001:db8:ffff::7 50000 typ prflx raddr 2001:db8:20::4 rport 50000"
  expect {
    result   = "kept"
    contains = ["2001:db8:ffff::7 50000 typ prflx raddr :: rport 9"]
    lacks    = ["2001:db8:20::4"]
  }
}

case "address behind a relayed one is redacted" {
  candidate = "candidate:3 1 udp 41885439 203.0.113.9 50000 typ relay raddr 10.20.3.4 rport 50000"
  expect {
    result   = "kept"
    contains = ["203.0.113.9 50000 typ relay raddr 0.0.0.0 rport 9"]
  }
}

case "names are opened for who asks for that" {
  client    = "10.40.0.10"
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result   = "decrypted"
    contains = ["10.20.3.4 50000 typ host"]
  }
}

case "description passes" {
  client      = "10.20.3.4"
  description = file("offer.sdp")
  expect {
    result    = "passed"
    encrypted = 2
    kept      = 2
    lacks     = ["10.20.3.4", "192.168.122.1"]
  }
}

# Lookups.

case "private network is answered" {
  lookup = "10.20.3.4"
  from   = "192.168.1.20"
  expect {
    result = "answered"
    policy = "default"
    ttl    = "120s"
    rate   = 0
  }
}

case "shared network of a carrier is answered" {
  lookup = "10.20.3.4"
  from   = "100.64.0.9"
  expect {
    result = "answered"
  }
}

case "private network of IPv6 is answered" {
  lookup = "2001:db8:77:1::2"
  from   = "fd12:3456:789a:1::2"
  expect {
    result = "answered"
  }
}

case "this host is answered" {
  lookup = "10.20.3.4"
  from   = "::1"
  expect {
    result = "answered"
  }
}

case "host on a link of the server is answered" {
  lookup  = "2001:db8:77:1::2"
  from    = "2001:db8:77:1::9"
  on_link = true
  expect {
    result = "answered"
  }
}

case "host with a global address elsewhere is not answered" {
  lookup = "10.20.3.4"
  from   = "198.51.100.20"
  expect {
    result = "refused"
    policy = ""
  }
}

case "address that no other host can reach is not answered" {
  lookup = "127.0.0.1"
  from   = "10.20.3.4"
  expect {
    result = "refused"
  }
}
