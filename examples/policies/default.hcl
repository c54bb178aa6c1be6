# What candgw does when it is given no policy of your own.

policy "default" {
  description = "Every reachable host address is encrypted; names are answered inside"

  # Host candidates: the addresses of the client's own interfaces, private or global. Addresses that
  # no other host can reach (loopback, link-local and the like) never get as far as a policy.
  candidate "host" {
    action = "encrypt"
  }

  # What a STUN or TURN server saw is public, but comes with the address that it stands for.
  candidate "srflx" {
    action          = "keep"
    related_address = "redact"
  }
  candidate "prflx" {
    action          = "keep"
    related_address = "redact"
  }
  candidate "relay" {
    action          = "keep"
    related_address = "redact"
  }

  name {
    suite = "aes-uuid"
  }

  # Who may ask what a name stands for.
  resolve {
    clients   = concat(private_networks, loopback_networks)
    own_links = true # and every host on a link of the node itself
    ttl       = "120s"
  }
  # For endpoints that resolve nothing, whoever calls the gateway may have names decrypted. A gateway
  # through which signaling comes to browsers by itself must keep them.
  inbound {
    action = "decrypt"
  }
}
