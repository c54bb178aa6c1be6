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
log {
  level  = "debug"
  format = "json"
}
