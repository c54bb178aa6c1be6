# Every attribute, each with another value than its default.
data_dir   = "/var/lib/candgw"
policy_dir = "/etc/candgw/policies"
allow_env  = true

dns {
  listen = "[::1]:53"
  zones  = ["local", "ice.corp.example"]

  zone "rtc.corp.example" {
    nameservers = ["candgw1.corp.example", "candgw2.corp.example"]
  }
  tls {
    listen           = ":853"
    certificate_file = "/etc/candgw/tls.crt"
    key_file         = "/etc/candgw/tls.key"
  }
}
mdns {
  enabled    = true
  interfaces = ["eth0", "eth1"]
}
api {
  listen     = "0.0.0.0:8480"
  token_file = "/etc/candgw/token"
  rate       = 100
  burst      = 500
  drain      = "5s"

  tls {
    certificate_file = "/etc/candgw/api.crt"
    key_file         = "/etc/candgw/api.key"
    client_ca_file   = "/etc/candgw/callers.crt"
  }
}
keyring {
  passphrase_file = "/run/credentials/passphrase"
}
rotate {
  suite  = "aes-gcm"
  every  = "12h"
  settle = "30s"
  grace  = "36h"
}
signaling "meet" {
  listen          = ":8443"
  upstream        = "https://meet.example.com"
  ca_file         = "/etc/candgw/ca.crt"
  paths           = ["/ws", "/api/*"]
  endpoint        = "upstream"
  trusted_proxies = ["10.0.0.0/24", "2001:db8::/64"]
  proxy_protocol  = true
  max_connections = 500

  tls {
    certificate_file = "/etc/candgw/meet.crt"
    key_file         = "/etc/candgw/meet.key"
  }
}
browsers {
  listen     = ":8444"
  extensions = ["chrome-extension://abcdefghijklmnopabcdefghijklmnop", "moz-extension://*"]
  rate       = 20
  burst      = 300

  tls {
    certificate_file = "/etc/candgw/browsers.crt"
    key_file         = "/etc/candgw/browsers.key"
  }
}
log {
  level  = "debug"
  format = "json"
}
