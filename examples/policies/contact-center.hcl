# A contact center: agents talk to customers through a web application that somebody else runs. What is
# said is confidential, so media must be encrypted end to end under keys that the application does not
# have, and customers' browsers must be able to tell that they talk to an agent.

locals {
  agents = ["10.70.0.0/16", "2001:db8:70::/48"]
}

policy "agents" {
  description = "Agents' desktops"
  clients     = local.agents
  origins     = ["https://desk.example.com", "https://desk-standby.example.com"]

  candidate "host" {
    action    = "encrypt"
    addresses = local.agents
  }

  session {
    # SDES keys would pass through the application, which could listen (RFC 8827, section 6.5). Such
    # a description is refused as a whole: without its keys a call would only fail later.
    forbid_sdes = true

    # Every media section must be under DTLS.
    require_fingerprint = true

    # The fingerprint passes through the application as well, which could put its own in its place.
    # So the enterprise's identity provider signs it, and what is not signed is refused. Candgw looks at
    # who the assertion says that it is of; whether the signature is right is what the
    # customer's browser asks the provider (RFC 8827, section 7).
    identity {
      require = true

      # Of this provider, and of people at these domains: an assertion of anybody else is taken out.
      provider "idp.example.com" {
        domains = ["example.com", "support.example.com"]
      }
    }
  }

  # Desktops make a few lookups a call. One that makes more is broken, or is not up to making calls.
  resolve {
    addresses = local.agents
    rate      = 10
    burst     = 20
  }
}
