# Softphones: the extension.

case "softphone's address is encrypted in an extension" {
  client    = "10.60.3.4"
  candidate = "candidate:1 1 udp 2122260223 10.60.3.4 50000 typ host"
  expect {
    result   = "encrypted"
    policy   = "softphones"
    contains = ["0.0.0.0 50000 typ host addrtype inipv4 ciphertext ", " cryptoparams ", " csid aes-gcm"]
    lacks    = ["10.60.3.4", ".local"]
  }
}

case "softphone's IPv6 address is encrypted in an extension" {
  client    = "2001:db8:60::4"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:60::4 50000 typ host"
  expect {
    result   = "encrypted"
    contains = ["0.0.0.0 50000 typ host addrtype inipv6 ciphertext "]
    lacks    = ["2001:db8:60::4"]
  }
}

case "second address of a softphone is dropped" {
  client      = "10.60.3.4"
  description = <<-EOT
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-softphone
    a=candidate:1 1 udp 2122260223 10.60.3.4 50000 typ host
    a=candidate:2 1 udp 2122194687 2001:db8:60::4 50001 typ host
    a=candidate:1 2 udp 2122260222 10.60.3.4 50002 typ host
  EOT
  expect {
    encrypted = 2
    dropped   = 1
    lacks     = ["50001"]
  }
}

case "address outside the voice network does not take the place" {
  client      = "10.60.3.4"
  description = <<-EOT
    a=ice-ufrag:abcd
    a=ice-pwd:another-password-of-a-softphone
    a=candidate:1 1 udp 2122260223 192.168.1.20 50000 typ host
    a=candidate:2 1 udp 2122194687 10.60.3.4 50001 typ host
  EOT
  expect {
    encrypted = 1
    dropped   = 1
    contains  = ["0.0.0.0 50001 typ host"]
  }
}

case "TCP candidate of a softphone is dropped" {
  client    = "10.60.3.4"
  candidate = "candidate:1 1 tcp 1518280447 10.60.3.4 9 typ host tcptype active"
  expect {
    result = "dropped"
    policy = "softphones"
  }
}

# Room systems: names.

case "room system's address becomes a name" {
  client    = "10.61.3.4"
  candidate = "candidate:1 1 udp 2122260223 10.61.3.4 50000 typ host"
  expect {
    result   = "encrypted"
    policy   = "room-systems"
    contains = [".local 50000 typ host addrtype dnsipv4 keyid "]
    lacks    = ["10.61.3.4", "ciphertext"]
  }
}

case "room system's IPv6 address becomes a name" {
  client    = "2001:db8:61::4"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:61::4 50000 typ host"
  expect {
    result   = "encrypted"
    contains = [".local 50000 typ host addrtype dnsipv6 keyid "]
    lacks    = ["2001:db8:61::4"]
  }
}

case "second address of a room system is dropped" {
  client      = "10.61.3.4"
  description = <<-EOT
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-room-system
    a=candidate:1 1 udp 2122260223 10.61.3.4 50000 typ host
    a=candidate:2 1 udp 2122194687 2001:db8:61::4 50001 typ host
  EOT
  expect {
    encrypted = 1
    dropped   = 1
    contains  = [".local 50000 typ host"]
  }
}

case "TCP candidate of a room system is dropped" {
  client    = "10.61.3.4"
  candidate = "candidate:1 1 tcp 1518280447 10.61.3.4 9 typ host tcptype active"
  expect {
    result = "dropped"
    by     = "candidate \"host\", transports"
  }
}

# Browsers.

case "browser's address becomes a name that browsers take" {
  client    = "10.20.3.4"
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result   = "encrypted"
    policy   = "browsers"
    contains = [".local 50000 typ host"]
    lacks    = ["10.20.3.4", "addrtype", "keyid", "ciphertext"]
  }
}

case "both addresses of a browser are encrypted" {
  client      = "10.20.3.4"
  description = <<-EOT
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-browser
    a=candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host
    a=candidate:2 1 udp 2122194687 2001:db8:20::4 50001 typ host
  EOT
  expect {
    encrypted = 2
  }
}

case "home network behind a laptop is dropped" {
  client    = "10.20.3.4"
  candidate = "candidate:1 1 udp 2122260223 192.168.1.20 50000 typ host"
  expect {
    result = "dropped"
    policy = "browsers"
  }
}

case "client of whom nothing is known is not served" {
  candidate = "candidate:1 1 udp 2122260223 10.60.3.4 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

# Lookups.

case "browser looks up a room system" {
  lookup = "10.61.3.4"
  from   = "10.20.3.4"
  expect {
    result = "answered"
    policy = "browsers"
  }
}

case "room system looks up a room system over IPv6" {
  lookup = "2001:db8:61::4"
  from   = "2001:db8:61::9"
  expect {
    result = "answered"
    policy = "room-systems"
  }
}

case "softphone looks up a browser" {
  lookup = "10.20.3.4"
  from   = "10.60.3.4"
  expect {
    result = "answered"
    policy = "softphones"
  }
}

case "softphone looks up no softphone" {
  lookup = "10.60.9.9"
  from   = "10.60.3.4"
  expect {
    result = "refused"
    by     = "resolve, addresses"
  }
}

case "room system looks up nothing outside" {
  lookup = "10.99.0.1"
  from   = "10.61.3.4"
  expect {
    result = "refused"
    policy = "room-systems"
  }
}

case "browser looks up nothing outside" {
  lookup = "10.99.0.1"
  from   = "10.20.3.4"
  expect {
    result = "refused"
    policy = "browsers"
  }
}

case "stranger looks up nothing" {
  lookup = "10.61.3.4"
  from   = "198.51.100.20"
  expect {
    result = "refused"
    policy = ""
  }
}
