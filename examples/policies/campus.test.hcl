# Host candidates.

case "wired address is encrypted" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result   = "encrypted"
    policy   = "campus"
    by       = "candidate \"host\", action"
    contains = [".local 50000 typ host"]
    lacks    = ["10.20.3.4"]
  }
}

case "WiFi address of IPv6 is encrypted" {
  client    = "2001:db8:21::7"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:21::7 50000 typ host"
  expect {
    result = "encrypted"
    lacks  = ["2001:db8"]
  }
}

case "browser's name for a campus address is encrypted" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  names     = { "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" = "10.20.3.4" }
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result = "encrypted"
    lacks  = ["884bd1f6-e28c-4b96-a9b8-90941f7bc52c"]
  }
}

case "browser's name that nobody answers for stays" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result = "unresolved"
  }
}

case "address of a virtual machine's bridge is dropped" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 192.168.122.1 50000 typ host"
  expect {
    result = "dropped"
    by     = "candidate \"host\", otherwise"
  }
}

case "IPv6 address of elsewhere is dropped" {
  client    = "2001:db8:21::7"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:99::7 50000 typ host"
  expect {
    result = "dropped"
    by     = "candidate \"host\", otherwise"
  }
}

case "TCP host candidate is dropped" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 tcp 1518280447 10.20.3.4 9 typ host tcptype active"
  expect {
    result = "dropped"
    by     = "candidate \"host\", otherwise"
  }
}

case "inside address of a server-reflexive candidate is redacted" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:2 1 udp 1686052607 192.0.2.7 50000 typ srflx raddr 10.20.3.4 rport 50000"
  expect {
    result   = "kept"
    redacted = 1
    contains = ["192.0.2.7", "raddr 0.0.0.0 rport 9"]
    lacks    = ["10.20.3.4"]
  }
}

case "inside address of a relayed candidate is redacted" {
  client    = "2001:db8:20::4"
  origin    = "https://meet.example.com"
  candidate = "candidate:3 1 udp 41885439 2001:db8:ffff::9 50000 typ relay raddr 2001:db8:20::4 rport 50000"
  expect {
    result   = "kept"
    contains = ["2001:db8:ffff::9", "raddr :: rport 9"]
    lacks    = ["2001:db8:20::4"]
  }
}

# For whom.

case "client that is not on the campus is not served" {
  client    = "198.51.100.20"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

case "client of whom nothing is known is not served" {
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

case "another web site is not served" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.net"
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

case "request without an origin is not served" {
  client    = "10.20.3.4"
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

# Descriptions.

case "description that DTLS protects passes" {
  client      = "10.20.3.4"
  origin      = "https://meet.example.com"
  description = file("offer.sdp")
  expect {
    result    = "passed"
    policy    = "campus"
    encrypted = 1
    kept      = 2
    dropped   = 1
    lacks     = ["10.20.3.4", "192.168.122.1"]
  }
}

case "description with SDES keys is refused" {
  client      = "10.20.3.4"
  origin      = "https://meet.example.com"
  description = file("offer-sdes.sdp")
  expect {
    result = "refused"
    by     = "session, forbid_sdes"
  }
}

case "description without a fingerprint is refused" {
  client      = "10.20.3.4"
  origin      = "https://meet.example.com"
  description = <<-EOT
    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    t=0 0
    m=audio 9 RTP/AVP 0
    c=IN IP4 0.0.0.0
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
  EOT
  expect {
    result = "refused"
    by     = "session, require_fingerprint"
  }
}

case "seventeenth host candidate of a session is dropped" {
  client      = "10.20.3.4"
  origin      = "https://meet.example.com"
  description = <<-EOT
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
    a=candidate:1 1 udp 2122260223 10.20.3.4 50001 typ host
    a=candidate:2 1 udp 2122260223 10.20.3.4 50002 typ host
    a=candidate:3 1 udp 2122260223 10.20.3.4 50003 typ host
    a=candidate:4 1 udp 2122260223 10.20.3.4 50004 typ host
    a=candidate:5 1 udp 2122260223 10.20.3.4 50005 typ host
    a=candidate:6 1 udp 2122260223 10.20.3.4 50006 typ host
    a=candidate:7 1 udp 2122260223 10.20.3.4 50007 typ host
    a=candidate:8 1 udp 2122260223 10.20.3.4 50008 typ host
    a=candidate:9 1 udp 2122260223 10.20.3.4 50009 typ host
    a=candidate:10 1 udp 2122260223 10.20.3.4 50010 typ host
    a=candidate:11 1 udp 2122260223 10.20.3.4 50011 typ host
    a=candidate:12 1 udp 2122260223 10.20.3.4 50012 typ host
    a=candidate:13 1 udp 2122260223 10.20.3.4 50013 typ host
    a=candidate:14 1 udp 2122260223 10.20.3.4 50014 typ host
    a=candidate:15 1 udp 2122260223 10.20.3.4 50015 typ host
    a=candidate:16 1 udp 2122260223 10.20.3.4 50016 typ host
    a=candidate:17 1 udp 2122260223 10.20.3.4 50017 typ host
  EOT
  expect {
    encrypted = 16
    dropped   = 1
    lacks     = ["50017"]
  }
}

case "names stay names on their way in" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result = "kept"
    by     = "inbound, action"
    lacks  = ["10.20.3.4"]
  }
}

# Lookups.

case "campus host has its lookup answered" {
  lookup = "10.20.3.4"
  from   = "10.21.9.9"
  expect {
    result = "answered"
    policy = "campus"
    ttl    = "120s"
    rate   = 50
    burst  = 100
  }
}

case "campus host has its lookup answered over IPv6" {
  lookup = "2001:db8:20::4"
  from   = "2001:db8:21::7"
  expect {
    result = "answered"
  }
}

case "address outside the campus is not answered" {
  lookup = "10.99.0.1"
  from   = "10.21.9.9"
  expect {
    result = "refused"
    by     = "resolve, addresses"
  }
}

case "host outside the campus gets no answer" {
  lookup = "10.20.3.4"
  from   = "198.51.100.20"
  expect {
    result = "refused"
    policy = ""
  }
}

case "guest on a link of the server itself gets no answer" {
  lookup  = "10.20.3.4"
  from    = "192.168.99.5"
  on_link = true
  expect {
    result = "refused"
    policy = ""
  }
}
