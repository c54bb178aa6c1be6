# Descriptions. The assertions in them are {"idp": {"domain": …}, "assertion": …} in base64.

case "agent with an identity passes" {
  client      = "10.70.3.4"
  origin      = "https://desk.example.com"
  description = <<-EOT
    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    t=0 0
    a=identity:eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUuY29tIiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDdAZXhhbXBsZS5jb21cIixcImJpdHNcIjpcInNhbXBsZVwifSJ9
    m=audio 9 UDP/TLS/RTP/SAVPF 0
    c=IN IP4 0.0.0.0
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
    a=fingerprint:sha-256 85:CE:F7:16:C4:7A:83:B8:7C:DC:34:E5:4F:4B:AA:9E:84:03:0E:D6:37:97:92:7A:79:83:17:C3:0A:3B:91:2A
    a=setup:actpass
    a=candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host
  EOT
  expect {
    result     = "passed"
    policy     = "agents"
    encrypted  = 1
    assertions = 0
    contains   = ["a=identity:"]
    lacks      = ["10.70.3.4"]
  }
}

case "agent of the support domain passes, over IPv6" {
  client      = "2001:db8:70::4"
  origin      = "https://desk-standby.example.com"
  description = <<-EOT
    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    t=0 0
    a=identity:eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUuY29tIiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDhAc3VwcG9ydC5leGFtcGxlLmNvbVwiLFwiYml0c1wiOlwic2FtcGxlXCJ9In0=
    m=audio 9 UDP/TLS/RTP/SAVPF 0
    c=IN IP4 0.0.0.0
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
    a=fingerprint:sha-256 85:CE:F7:16:C4:7A:83:B8:7C:DC:34:E5:4F:4B:AA:9E:84:03:0E:D6:37:97:92:7A:79:83:17:C3:0A:3B:91:2A
    a=setup:actpass
    a=candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host
  EOT
  expect {
    result   = "passed"
    contains = ["a=identity:"]
  }
}

case "SDES keys are refused" {
  client      = "10.70.3.4"
  origin      = "https://desk.example.com"
  description = <<-EOT
    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    t=0 0
    a=identity:eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUuY29tIiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDdAZXhhbXBsZS5jb21cIixcImJpdHNcIjpcInNhbXBsZVwifSJ9
    m=audio 9 UDP/TLS/RTP/SAVPF 0
    c=IN IP4 0.0.0.0
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
    a=fingerprint:sha-256 85:CE:F7:16:C4:7A:83:B8:7C:DC:34:E5:4F:4B:AA:9E:84:03:0E:D6:37:97:92:7A:79:83:17:C3:0A:3B:91:2A
    a=setup:actpass
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0
    a=candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host
  EOT
  expect {
    result = "refused"
    policy = "agents"
    by     = "session, forbid_sdes"
  }
}

case "media without DTLS is refused" {
  client      = "10.70.3.4"
  origin      = "https://desk.example.com"
  description = <<-EOT
    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    t=0 0
    a=identity:eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUuY29tIiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDdAZXhhbXBsZS5jb21cIixcImJpdHNcIjpcInNhbXBsZVwifSJ9
    m=audio 9 RTP/AVP 0
    c=IN IP4 0.0.0.0
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
    a=candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host
  EOT
  expect {
    result = "refused"
    by     = "session, require_fingerprint"
  }
}

case "agent without an identity is refused" {
  client      = "10.70.3.4"
  origin      = "https://desk.example.com"
  description = <<-EOT
    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    t=0 0
    m=audio 9 UDP/TLS/RTP/SAVPF 0
    c=IN IP4 0.0.0.0
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
    a=fingerprint:sha-256 85:CE:F7:16:C4:7A:83:B8:7C:DC:34:E5:4F:4B:AA:9E:84:03:0E:D6:37:97:92:7A:79:83:17:C3:0A:3B:91:2A
    a=setup:actpass
    a=candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host
  EOT
  expect {
    result = "refused"
    by     = "session, identity, require"
  }
}

case "identity of another provider is refused" {
  client      = "10.70.3.4"
  origin      = "https://desk.example.com"
  description = <<-EOT
    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    t=0 0
    a=identity:eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUubmV0IiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDdAZXhhbXBsZS5jb21cIixcImJpdHNcIjpcInNhbXBsZVwifSJ9
    m=audio 9 UDP/TLS/RTP/SAVPF 0
    c=IN IP4 0.0.0.0
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
    a=fingerprint:sha-256 85:CE:F7:16:C4:7A:83:B8:7C:DC:34:E5:4F:4B:AA:9E:84:03:0E:D6:37:97:92:7A:79:83:17:C3:0A:3B:91:2A
    a=setup:actpass
    a=candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host
  EOT
  expect {
    result = "refused"
    by     = "session, identity, require"
  }
}

case "identity of another domain is refused" {
  client      = "10.70.3.4"
  origin      = "https://desk.example.com"
  description = <<-EOT
    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    t=0 0
    a=identity:eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUuY29tIiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDdAZXhhbXBsZS5uZXRcIixcImJpdHNcIjpcInNhbXBsZVwifSJ9
    m=audio 9 UDP/TLS/RTP/SAVPF 0
    c=IN IP4 0.0.0.0
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
    a=fingerprint:sha-256 85:CE:F7:16:C4:7A:83:B8:7C:DC:34:E5:4F:4B:AA:9E:84:03:0E:D6:37:97:92:7A:79:83:17:C3:0A:3B:91:2A
    a=setup:actpass
    a=candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host
  EOT
  expect {
    result = "refused"
    by     = "session, identity, require"
  }
}

case "identity of another provider beside the right one is taken out" {
  client      = "10.70.3.4"
  origin      = "https://desk.example.com"
  description = <<-EOT
    v=0
    o=- 1 1 IN IP4 127.0.0.1
    s=-
    t=0 0
    a=identity:eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUuY29tIiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDdAZXhhbXBsZS5jb21cIixcImJpdHNcIjpcInNhbXBsZVwifSJ9
    a=identity:eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUubmV0IiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDdAZXhhbXBsZS5jb21cIixcImJpdHNcIjpcInNhbXBsZVwifSJ9
    m=audio 9 UDP/TLS/RTP/SAVPF 0
    c=IN IP4 0.0.0.0
    a=ice-ufrag:abcd
    a=ice-pwd:sample-password-of-a-session
    a=fingerprint:sha-256 85:CE:F7:16:C4:7A:83:B8:7C:DC:34:E5:4F:4B:AA:9E:84:03:0E:D6:37:97:92:7A:79:83:17:C3:0A:3B:91:2A
    a=setup:actpass
    a=candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host
  EOT
  expect {
    result     = "passed"
    assertions = 1
    contains   = ["a=identity:eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUuY29tIiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDdAZXhhbXBsZS5jb21cIixcImJpdHNcIjpcInNhbXBsZVwifSJ9"]
    lacks      = ["eyJpZHAiOnsiZG9tYWluIjoiaWRwLmV4YW1wbGUubmV0IiwicHJvdG9jb2wiOiJkZWZhdWx0In0sImFzc2VydGlvbiI6IntcImlkZW50aXR5XCI6XCJhZ2VudDdAZXhhbXBsZS5jb21cIixcImJpdHNcIjpcInNhbXBsZVwifSJ9"]
  }
}

# Candidates that come one by one have no such lines, and no need of them.

case "trickled candidate is encrypted" {
  client    = "10.70.3.4"
  origin    = "https://desk.example.com"
  candidate = "candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host"
  expect {
    result = "encrypted"
    lacks  = ["10.70.3.4"]
  }
}

case "trickled IPv6 candidate is encrypted" {
  client    = "2001:db8:70::4"
  origin    = "https://desk.example.com"
  candidate = "candidate:1 1 udp 2122260223 2001:db8:70::4 50000 typ host"
  expect {
    result = "encrypted"
    lacks  = ["2001:db8:70::4"]
  }
}

case "home network of an agent is dropped" {
  client    = "10.70.3.4"
  origin    = "https://desk.example.com"
  candidate = "candidate:1 1 udp 2122260223 192.168.1.20 50000 typ host"
  expect {
    result = "dropped"
    by     = "candidate \"host\", addresses"
  }
}

case "another application is not served" {
  client    = "10.70.3.4"
  origin    = "https://desk.example.net"
  candidate = "candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

case "client of whom nothing is known is not served" {
  origin    = "https://desk.example.com"
  candidate = "candidate:1 1 udp 2122260223 10.70.3.4 50000 typ host"
  expect {
    result = "dropped"
    policy = ""
  }
}

# Lookups.

case "agent looks up an agent, ten times a second" {
  lookup = "10.70.3.4"
  from   = "10.70.9.9"
  expect {
    result = "answered"
    policy = "agents"
    rate   = 10
    burst  = 20
  }
}

case "agent looks up an agent over IPv6" {
  lookup = "2001:db8:70::4"
  from   = "2001:db8:70::9"
  expect {
    result = "answered"
  }
}

case "agent looks up nobody else" {
  lookup = "10.20.3.4"
  from   = "10.70.9.9"
  expect {
    result = "refused"
    by     = "resolve, addresses"
  }
}

case "nobody else looks up an agent" {
  lookup = "10.70.3.4"
  from   = "10.20.9.9"
  expect {
    result = "refused"
    policy = ""
  }
}
