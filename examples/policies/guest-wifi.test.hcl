# Guests.

case "guest's address is dropped" {
  client    = "10.30.70.8"
  candidate = "candidate:1 1 udp 2122260223 10.30.70.8 50000 typ host"
  expect {
    result = "dropped"
    policy = "guests"
    by     = "candidate \"host\", action"
  }
}

case "guest's IPv6 address is dropped" {
  client    = "2001:db8:30:4001::8"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:30:4001::8 50000 typ host"
  expect {
    result = "dropped"
    policy = "guests"
  }
}

case "guest's browser name is dropped" {
  client    = "10.30.70.8"
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result = "dropped"
    policy = "guests"
  }
}

case "guest has the public address, without the one behind it" {
  client    = "10.30.70.8"
  candidate = "candidate:2 1 udp 1686052607 192.0.2.7 50000 typ srflx raddr 10.30.70.8 rport 50000"
  expect {
    result   = "kept"
    policy   = "guests"
    contains = ["192.0.2.7 50000 typ srflx raddr 0.0.0.0 rport 9"]
    lacks    = ["10.30.70.8"]
  }
}

case "guest has the relay, without the address behind it" {
  client    = "10.30.70.8"
  candidate = "candidate:3 1 udp 41885439 203.0.113.9 50000 typ relay raddr 10.30.70.8 rport 50000"
  expect {
    result = "kept"
    policy = "guests"
    lacks  = ["10.30.70.8"]
  }
}

case "no name is opened for a guest" {
  client    = "10.30.70.8"
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 10.30.3.4 50000 typ host"
  expect {
    result = "kept"
    policy = "guests"
    lacks  = ["10.30.3.4"]
  }
}

case "guest looks up nobody of staff" {
  lookup = "10.30.3.4"
  from   = "10.30.70.8"
  expect {
    result = "refused"
    policy = "guests"
    by     = "resolve, addresses"
  }
}

case "guest looks up nobody of staff over IPv6" {
  lookup = "2001:db8:30::4"
  from   = "2001:db8:30:4001::8"
  expect {
    result = "refused"
    policy = "guests"
  }
}

case "guest near the server looks up nobody" {
  lookup  = "10.30.3.4"
  from    = "10.30.70.8"
  on_link = true
  expect {
    result = "refused"
    policy = "guests"
  }
}

case "guest looks up no guest" {
  lookup = "10.30.70.9"
  from   = "10.30.70.8"
  expect {
    result = "refused"
    policy = "guests"
  }
}

# Staff.

case "staff is encrypted" {
  client    = "10.30.3.4"
  candidate = "candidate:1 1 udp 2122260223 10.30.3.4 50000 typ host"
  expect {
    result = "encrypted"
    policy = "staff"
    lacks  = ["10.30.3.4"]
  }
}

case "staff is encrypted over IPv6" {
  client    = "2001:db8:30::4"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:30::4 50000 typ host"
  expect {
    result = "encrypted"
    policy = "staff"
  }
}

case "last address before the guests is staff's" {
  client    = "10.30.63.255"
  candidate = "candidate:1 1 udp 2122260223 10.30.63.255 50000 typ host"
  expect {
    result = "encrypted"
    policy = "staff"
  }
}

case "first address after the guests is staff's" {
  client    = "10.30.128.0"
  candidate = "candidate:1 1 udp 2122260223 10.30.128.0 50000 typ host"
  expect {
    result = "encrypted"
    policy = "staff"
  }
}

case "staff looks up staff" {
  lookup = "10.30.3.4"
  from   = "10.30.9.9"
  expect {
    result = "answered"
    policy = "staff"
  }
}

case "staff looks up staff over IPv6" {
  lookup = "2001:db8:30::4"
  from   = "2001:db8:30::9"
  expect {
    result = "answered"
  }
}

case "home network behind a laptop of staff is dropped" {
  client    = "10.30.3.4"
  candidate = "candidate:1 1 udp 2122260223 192.168.1.20 50000 typ host"
  expect {
    result = "dropped"
    policy = "staff"
  }
}

case "staff looks up nothing else" {
  lookup = "10.99.0.1"
  from   = "10.30.9.9"
  expect {
    result = "refused"
    policy = "staff"
    by     = "resolve, addresses"
  }
}

# Neither.

case "client of whom nothing is known is not served" {
  candidate = "candidate:1 1 udp 2122260223 10.30.3.4 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

case "somebody near the server of whom nothing is known looks up nobody" {
  lookup  = "10.30.3.4"
  from    = "192.168.99.5"
  on_link = true
  expect {
    result = "refused"
    policy = ""
  }
}
