# Towards the media server.

case "browser's address is told to the media server" {
  client    = "10.40.0.10"
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result   = "decrypted"
    policy   = "media-server"
    by       = "inbound, action"
    contains = ["10.20.3.4 50000 typ host"]
    lacks    = [".local"]
  }
}

case "IPv6 address is told to the media server over IPv6" {
  client    = "2001:db8:40::10"
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 2001:db8:20::4 50000 typ host"
  expect {
    result   = "decrypted"
    contains = ["2001:db8:20::4 50000 typ host"]
  }
}

case "whole offer is decrypted for the media server" {
  client      = "10.40.0.10"
  inbound     = true
  description = file("offer.sdp")
  expect {
    result    = "passed"
    policy    = "media-server"
    decrypted = 2
    contains  = ["10.20.3.4 50000 typ host"]
    lacks     = [".local"]
  }
}

case "neighbor of the media server is told nothing" {
  client    = "10.40.0.11"
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result = "kept"
    policy = ""
    lacks  = ["10.20.3.4"]
  }
}

case "client of whom nothing is known is told nothing" {
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result = "kept"
    policy = ""
    lacks  = ["10.20.3.4"]
  }
}

case "browser is told nothing on the server's own page" {
  client    = "10.20.3.4"
  origin    = "https://rooms.corp.example.com"
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 10.20.9.9 50000 typ host"
  expect {
    result = "kept"
    policy = "own-rooms"
    lacks  = ["10.20.9.9"]
  }
}

case "browser is told nothing on another page" {
  client    = "10.20.3.4"
  inbound   = true
  candidate = "candidate:1 1 udp 2122260223 10.20.9.9 50000 typ host"
  expect {
    result = "kept"
    policy = "browsers"
    lacks  = ["10.20.9.9"]
  }
}

# What the web site sees.

case "web site does not see a browser's address" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 10.20.3.4 50000 typ host"
  expect {
    result = "encrypted"
    policy = "browsers"
    lacks  = ["10.20.3.4"]
  }
}

case "web site does not see a browser's IPv6 address" {
  client    = "2001:db8:20::4"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:20::4 50000 typ host"
  expect {
    result = "encrypted"
    lacks  = ["2001:db8:20::4"]
  }
}

case "web site does not see the media server's address" {
  client    = "10.40.0.10"
  candidate = "candidate:1 1 udp 2130706431 10.40.0.20 10000 typ host"
  expect {
    result = "encrypted"
    policy = "media-server"
    lacks  = ["10.40.0.20"]
  }
}

case "management address of the media server is dropped" {
  client    = "10.40.0.10"
  candidate = "candidate:1 1 udp 2130706431 172.16.0.5 10000 typ host"
  expect {
    result = "dropped"
    policy = "media-server"
  }
}

case "address of a home network is told to no web site" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  candidate = "candidate:1 1 udp 2122260223 192.168.1.20 50000 typ host"
  expect {
    result = "dropped"
    policy = "browsers"
  }
}

# The media server's own page.

case "browser's name becomes its address on the server's own page" {
  client    = "10.20.3.4"
  origin    = "https://rooms.corp.example.com"
  names     = { "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" = "10.20.3.4" }
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result   = "revealed"
    policy   = "own-rooms"
    contains = ["10.20.3.4 50000 typ host"]
  }
}

case "browser's name is encrypted on another page" {
  client    = "10.20.3.4"
  origin    = "https://meet.example.com"
  names     = { "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" = "10.20.3.4" }
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result = "encrypted"
    policy = "browsers"
    lacks  = ["10.20.3.4"]
  }
}

case "browser's name is encrypted on a page of which nothing is known" {
  client    = "10.20.3.4"
  names     = { "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" = "10.20.3.4" }
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result = "encrypted"
    policy = "browsers"
    lacks  = ["10.20.3.4"]
  }
}

case "address of a home network is told to no page" {
  client    = "10.20.3.4"
  origin    = "https://rooms.corp.example.com"
  names     = { "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" = "192.168.1.20" }
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result = "dropped"
    policy = "own-rooms"
  }
}

case "stranger is told nothing on the server's own page" {
  client    = "198.51.100.20"
  origin    = "https://rooms.corp.example.com"
  names     = { "884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local" = "10.20.3.4" }
  candidate = "candidate:1 1 udp 2122260223 884bd1f6-e28c-4b96-a9b8-90941f7bc52c.local 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

# Lookups.

case "browser looks up the media server" {
  lookup = "10.40.0.20"
  from   = "10.20.3.4"
  expect {
    result = "answered"
    policy = "browsers"
  }
}

case "browser looks up another one over IPv6" {
  lookup = "2001:db8:20::9"
  from   = "2001:db8:20::4"
  expect {
    result = "answered"
  }
}

case "browser does not look up the rest of the data center" {
  lookup = "10.40.1.20"
  from   = "10.20.3.4"
  expect {
    result = "refused"
    by     = "resolve, addresses"
  }
}

case "media server looks up nothing" {
  lookup = "10.20.3.4"
  from   = "10.40.0.10"
  expect {
    result = "refused"
    policy = "media-server"
  }
}
