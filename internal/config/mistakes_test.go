package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candgw/candgw/policy"
)

// mistakes have one each, with the line and what to write.
var mistakes = []struct {
	text         string
	line         int
	summary, say string
}{
	// Names.
	{"data_dirs = \"/x\"", 1, "Unsupported argument", `Did you mean "data_dir"?`},
	{"\nlogs {}", 2, "Unsupported block type", `Did you mean "log"?`},
	{"dns {\n  listn = \":53\"\n}", 2, "Unsupported argument", `Did you mean "listen"?`},
	{"mdns {\n  interface = [\"eth0\"]\n}", 2, "Unsupported argument", `Did you mean "interfaces"?`},
	{"api {\n  tokenfile = \"/x\"\n}", 2, "Unsupported argument", `Did you mean "token_file"?`},
	{"keyring {\n  kek_flie = \"/x\"\n}", 2, "Unsupported argument", `Did you mean "kek_file"?`},
	{"rotate {\n  evry = \"24h\"\n}", 2, "Unsupported argument", `Did you mean "every"?`},
	{"log {\n  levl = \"info\"\n}", 2, "Unsupported argument", `Did you mean "level"?`},
	{"dns = { listen = \":53\" }", 1, "Unsupported argument", `Did you mean to define a block of type "dns"?`},
	{"data_dir {}", 1, "Unsupported block type", `Did you mean to define argument "data_dir"?`},
	{"dns {}\ndns {}", 2, "Duplicate dns block", "Only one dns block is allowed."},
	{"dns \"a\" {}", 1, "Extraneous label for dns", "No labels are expected"},
	{"dns {\n  cache {}\n}", 2, "Unsupported block type", `"cache" are not expected here`},

	// Syntax and types.
	{"dns {", 1, "Unclosed configuration block", "closing brace"},
	{"\nrotate {\n  every = 24h\n}", 3, "Missing newline after argument", "An argument definition must end with a newline."},
	{"data_dir = 5", 1, "Wrong type", `"data_dir" wants a text in quotes.`},
	{"data_dir = null", 1, "Wrong type", `"data_dir" wants a text in quotes.`},
	{"data_dir = data", 1, "Wrong type", `"data_dir" wants a text in quotes.`},
	{"data_dir = \"${home}\"", 1, "Variables not allowed", "Variables may not be used here."},
	{"data_dir = env(\"HOME\")", 1, "Function calls not allowed", "Functions may not be called here."},
	{"data_dir = \"\"", 1, "Empty text", "write one, or leave it out"},
	{"policy_dir = \"\"", 1, "Empty text", "write one, or leave it out"},
	{"policy_dir = [\"/a\", \"/b\"]", 1, "Wrong type", `"policy_dir" wants a text in quotes.`},
	{"policy_dir = \"a\\u0000b\"", 1, "Not a path", "NUL"},
	{"allow_env = \"true\"", 1, "Wrong type", `"allow_env" wants true or false, without quotes.`},
	{"allow_env = yes", 1, "Wrong type", `"allow_env" wants true or false, without quotes.`},
	{"allow_env = 1", 1, "Wrong type", `"allow_env" wants true or false, without quotes.`},

	// dns.
	{"dns {\n  listen = 53\n}", 2, "Wrong type", `"listen" wants a text in quotes.`},
	{"dns {\n  listen = \"127.0.0.1\"\n}", 2, "Not an address", `not "127.0.0.1". A port follows the address, as in "127.0.0.1:5354".`},
	{"dns {\n  listen = \"::1\"\n}", 2, "Not an address", `A port follows the address, as in "[::1]:5354".`},
	{"dns {\n  listen = \"53\"\n}", 2, "Not an address", `Write host and port, as in "127.0.0.1:5354" or "[::1]:5354", not "53".`},
	{"dns {\n  listen = \"::1:53:\"\n}", 2, "Not an address", `not "::1:53:"`},
	{"dns {\n  listen = \"127.0.0.1:domain\"\n}", 2, "Not an address", `The port is a number of 0 to 65535, not "domain".`},
	{"dns {\n  listen = \"127.0.0.1:65536\"\n}", 2, "Not an address", `not "65536"`},
	{"dns {\n  listen = \"127.0.0.1:\"\n}", 2, "Not an address", `not ""`},
	{"dns {\n  listen = \"*:53\"\n}", 2, "Not an address", `not "*". For every address leave it out, as in ":53".`},
	{"dns {\n  listen = \"10.0.0:53\"\n}", 2, "Not an address", `not "10.0.0"`},
	{"dns {\n  listen = \"256.0.0.1:53\"\n}", 2, "Not an address", `not "256.0.0.1"`},
	{"dns {\n  listen = \"a_b:53\"\n}", 2, "Not an address", `not "a_b"`},
	{"dns {\n  listen = \"-a:53\"\n}", 2, "Not an address", `not "-a"`},
	{"dns {\n  listen = \"\"\n}", 2, "Empty text", "leave it out"},
	{"dns {\n  zones = \"local\"\n}", 2, "Wrong type", `"zones" wants a list of zones, each a text in quotes, as in ["local"].`},
	{"dns {\n  zones = { a = \"local\" }\n}", 2, "Wrong type", `as in ["local"]`},
	{"dns {\n  zones = []\n}", 2, "No zone", `write one, as in ["local"], or leave zones out`},
	{"dns {\n  zones = [\n    \"local\",\n    \"a..b\",\n  ]\n}", 4, "Not a zone", `not "a..b"`},
	{"dns {\n  zones = [\"\"]\n}", 2, "Not a zone", `not ""`},
	{"dns {\n  zones = [\".\"]\n}", 2, "Not a zone", `not "."`},
	{"dns {\n  zones = [\"a b.example\"]\n}", 2, "Not a zone", `letters, digits, '-', '_' and dots, unlike "a b.example".`},
	{"dns {\n  zones = [\"*.example\"]\n}", 2, "Not a zone", `unlike "*.example".`},
	{"dns {\n  zones = [\"a\\\\.b.example\"]\n}", 2, "Not a zone", `unlike "a\\.b.example".`},
	{"dns {\n  zones = [\"münchen.example\"]\n}", 2, "Not a zone", `Write it in A-labels (RFC 5890, section 2.3.2.1): "xn--mnchen-3ya.example".`},
	{"dns {\n  zone \"é.example\" {\n    nameservers = [\"ns.example\"]\n  }\n}", 2, "Not a zone", `"xn--9ca.example"`},
	{"dns {\n  zones = [\n    \"local\",\n    5,\n  ]\n}", 4, "Wrong type", "each a text in quotes"},
	{"dns {\n  zones = [for z in [\"a..b\"] : z]\n}", 2, "Not a zone", `not "a..b"`},
	{"dns {\n  zones = [\n    \"local\",\n    \"LOCAL.\",\n  ]\n}", 4, "Zone twice", `"LOCAL." is there already`},

	// dns, zone.
	{"dns {\n  zone {}\n}", 2, "Missing name for zone", "must have 1 labels"},
	{"dns {\n  zone \"a.example\" {}\n}", 2, "Missing attribute", `The block wants "nameservers": the hosts that the zone above delegates to.`},
	{"dns {\n  zone \"a.example\" {\n    nameserver = [\"ns.example\"]\n    nameservers = [\"ns.example\"]\n  }\n}", 3, "Unsupported argument", `An argument named "nameserver" is not expected here.`},
	{"dns {\n  zone \"a.example\" {\n    nameservers = \"ns.example\"\n  }\n}", 3, "Wrong type", `as in ["candgw1.corp.example"]`},
	{"dns {\n  zone \"a.example\" {\n    nameservers = []\n  }\n}", 3, "No name server", "or put the zone into the list zones"},
	{"dns {\n  zone \"a..example\" {\n    nameservers = [\"ns.example\"]\n  }\n}", 2, "Not a zone", `not "a..example"`},
	{"dns {\n  zone \"local\" {\n    nameservers = [\"ns.example\"]\n  }\n}", 2, "Zone without name servers", `"local" belongs to Multicast DNS`},
	{"dns {\n  zones = [\"a.example\"]\n  zone \"a.example\" {\n    nameservers = [\"ns.example\"]\n  }\n}", 3, "Zone twice", "leave out one of them"},
	{"dns {\n  zone \"a.example\" {\n    nameservers = [\"ns.example\"]\n  }\n  zone \"A.example.\" {\n    nameservers = [\"ns.example\"]\n  }\n}", 5, "Zone twice", `"A.example." is there already`},
	{"dns {\n  zone \"a.example\" {\n    nameservers = [\n      \"ns.example\",\n      \"ns.a.example\",\n    ]\n  }\n}", 5, "Name server in a zone of candgw", `In "a.example" there are no addresses of hosts: give "ns.a.example" a name in the zone above.`},
	{"dns {\n  zone \"a.example\" {\n    nameservers = [\"10.0.0.1\"]\n  }\n}", 3, "Not a host", `"10.0.0.1" is none`},
	{"dns {\n  zone \"a.example\" {\n    nameservers = [\"\"]\n  }\n}", 3, "Not a host", `"" is none`},
	{"dns {\n  zone \"a.example\" {\n    nameservers = [\"ns.example\", \"NS.example.\"]\n  }\n}", 3, "Name server twice", `"NS.example." is there already`},

	// dns, tls.
	{"dns {\n  tls {\n    listen = \":853\"\n    certificate_file = \"a\"\n  }\n}", 2, "Missing attribute", `The block wants "key_file"`},
	{"dns {\n  tls {\n    certificate_file = \"a\"\n    key_file = \"b\"\n  }\n}", 2, "Missing attribute", `The block wants "listen"`},
	{"dns {\n  tls {\n    listen = \"853\"\n    certificate_file = \"a\"\n    key_file = \"b\"\n  }\n}", 3, "Not an address", `not "853"`},
	{"dns {\n  tls {\n    listen = \":853\"\n    certificate_file = \"\"\n    key_file = \"b\"\n  }\n}", 4, "Empty text", "leave it out"},
	{"dns {\n  tls {\n    listen = \"127.0.0.1:5354\"\n    certificate_file = \"a\"\n    key_file = \"b\"\n  }\n}", 3, "Address twice", `"127.0.0.1:5354" is where DNS is answered without TLS: give one of the two another port. That of DNS is 53, that of DNS over TLS 853.`},
	{"dns {\n  tls {\n    listen = \":5353\"\n    certificate_file = \"a\"\n    key_file = \"b\"\n  }\n  listen = \":5353\"\n}", 3, "Address twice", `":5353" is where DNS`},

	// mdns.
	{"mdns {\n  enabled = \"no\"\n}", 2, "Wrong type", `"enabled" wants true or false`},
	{"mdns {\n  interfaces = \"eth0\"\n}", 2, "Wrong type", `"interfaces" wants a list of names of interfaces, each a text in quotes, as in ["eth0"].`},
	{"mdns {\n  interfaces = [\n    \"eth0\",\n    \"\",\n  ]\n}", 4, "Empty text", "leave interfaces out for all of them"},
	{"mdns {\n  interfaces = [null]\n}", 2, "Wrong type", "each a text in quotes"},
	{"mdns {\n  interfaces = [\"none\"]\n}", 2, "Not an interface", "write enabled = false"},
	{"mdns {\n  enabled = true\n  interfaces = []\n}", 3, "Enabled on no interface", "none, never all"},
	{"mdns {\n  enabled = false\n  interfaces = [\"eth0\"]\n}", 3, "No effect", "leave out one of the two"},

	// api.
	{"api {\n  listen = \"0.0.0.0:8480\"\n}", 2, "No token", "0.0.0.0:8480 is not on loopback, where everybody could reach it: give it a token with token_file, or a block tls with client_ca_file."},
	{"api {\n  listen = \":8480\"\n}", 2, "No token", ":8480 is not on loopback"},
	{"api {\n  listen = \"candgw.corp.example:8480\"\n}", 2, "No token", "is not on loopback"},
	{"api {\n  listen = \"8480\"\n}", 2, "Not an address", `not "8480"`},
	{"api {\n  token_file = \"\"\n  listen = \":80\"\n}", 2, "Empty text", "leave it out"},

	{"api {\n  listen = \"unix:\"\n}", 2, "Not an address", `Write the path of the socket after "unix:"`},
	{"api {\n  listen = \"unix:/" + strings.Repeat("x", 103) + "\"\n}", 2, "Not an address", "at most 103 octets, this one has 104"},
	{"api {\n  listen = \"unix:/a\\u0000b\"\n}", 2, "Not an address", "Write the path"},
	{"api {\n  listen = \"unix:/s\"\n  tls {\n    certificate_file = \"a\"\n    key_file = \"b\"\n  }\n}", 2, "No effect", "leave the block tls out"},
	{"api {\n  listen = \":80\"\n  tls {\n    certificate_file = \"a\"\n    key_file = \"b\"\n  }\n}", 2, "No token", "or a block tls with client_ca_file"},
	{"api {\n  tls {\n    certificate_file = \"a\"\n  }\n}", 2, "Missing attribute", `The block wants "key_file"`},
	{"api {\n  tls {\n    key_file = \"a\"\n  }\n}", 2, "Missing attribute", `The block wants "certificate_file"`},
	{"api {\n  tls {\n    certificate_file = \"a\"\n    key_file = \"b\"\n    client_ca = \"c\"\n  }\n}", 5, "Unsupported argument", `An argument named "client_ca" is not expected here`},
	{"api {\n  tls {\n    certificate_file = \"a\"\n    key_file = \"b\"\n    key = \"hunter2\"\n  }\n}", 5, "Secret in the configuration", "name that with key_file. If"},
	{"api {\n  listen = \":80\"\n  tls {\n    certificate_file = \"a\"\n    key_file = \"b\"\n    client_ca_file = 5\n  }\n}", 6, "Wrong type", "a text in quotes"},
	{"api {\n  rate = 0\n}", 2, "Number out of range", `"rate" is a whole number of 1 to 1000000.`},
	{"api {\n  rate = 1.5\n}", 2, "Number out of range", "whole number"},
	{"api {\n  rate = 1e99\n}", 2, "Number out of range", "whole number"},
	{"api {\n  rate = \"10\"\n}", 2, "Wrong type", "without quotes"},
	{"api {\n  burst = 10\n}", 2, "No effect", "set rate too"},
	{"api {\n  drain = \"61s\"\n}", 2, "Duration out of range", `"drain" is 0s to 1m.`},

	// keyring.
	{"keyring {\n  kek_file = \"\"\n}", 2, "Empty text", "leave it out"},
	{"keyring {\n  passphrase_file = true\n}", 2, "Wrong type", "a text in quotes"},
	{"keyring {\n  kek_file = \"a\"\n  passphrase_file = \"b\"\n}", 3, "Two keys for one ring", "set kek_file or passphrase_file"},

	// rotate.
	{"rotate {\n  suite = \"aes\"\n}", 2, "Unknown suite", `"aes" is none of aes-uuid, aes-gcm, aes-ctr-hmac, aes-cbc-hmac.`},
	{"rotate {\n  suite = \"\"\n}", 2, "Empty text", "leave it out"},
	{"rotate {\n  suite = [\"aes-uuid\"]\n}", 2, "Wrong type", "a text in quotes"},
	{"rotate {\n  every = 24\n}", 2, "Not a duration", `"every" wants a unit, and quotes around both, as in "24h" or "1m".`},
	{"rotate {\n  every = \"24\"\n}", 2, "Not a duration", `Write a number with a unit, as in "24h" or "1m", not "24".`},
	{"rotate {\n  every = \"1d\"\n}", 2, "Not a duration", `not "1d"`},
	{"rotate {\n  every = \"\"\n}", 2, "Not a duration", `not ""`},
	{"rotate {\n  every = true\n}", 2, "Wrong type", `a time in quotes, as in "24h" or "1m"`},
	{"rotate {\n  every = \"59s\"\n}", 2, "Duration out of range", `"every" is 1m to 8760h.`},
	{"rotate {\n  every = \"8761h\"\n}", 2, "Duration out of range", `"every" is 1m to 8760h.`},
	{"rotate {\n  settle = \"-1s\"\n}", 2, "Duration out of range", `"settle" is 0s to 8760h.`},
	{"rotate {\n  grace = \"-1h\"\n}", 2, "Duration out of range", `"grace" is 0s to 8760h.`},
	{"rotate {\n  grace = \"8760h1s\"\n}", 2, "Duration out of range", `"grace" is 0s to 8760h.`},
	{"rotate {\n  settle = \"24h\"\n}", 2, "Settle not shorter than every", "make settle (24h) shorter than every (24h)"},
	{"rotate {\n  every = \"1m\"\n}", 2, "Settle not shorter than every", "make settle (1m) shorter than every (1m)"},
	{"rotate {\n  every = \"1h30m\"\n  settle = \"90m30s\"\n}", 3, "Settle not shorter than every", "make settle (1h30m30s) shorter than every (1h30m)"},
	{"rotate {\n  grace = \"59s\"\n}", 2, "Grace shorter than settle", "make grace (59s) at least as long as settle (1m)"},
	{"rotate {\n  every = \"8760h\"\n  settle = \"49h\"\n}", 3, "Grace shorter than settle", "make grace (48h) at least as long as settle (49h)"},
	{"rotate {\n  every = \"1d\"\n  settle = \"30h\"\n}", 2, "Not a duration", `not "1d"`},
	{"rotate {\n  settle = \"x\"\n  grace = \"1s\"\n}", 2, "Not a duration", `not "x"`},

	// signaling.
	{"signaling {}", 1, "Missing name for signaling", "must have 1 labels"},
	{"signaling \"a b\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n}", 1, "Not a name", `"a b" is none`},
	{"signaling \"\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n}", 1, "Not a name", `"" is none`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n}\nsignaling \"a\" {\n  listen = \":2\"\n  upstream = \"http://a\"\n}", 5, "Name twice", `There is a signaling "a" already`},
	{"signaling \"a\" {\n  upstream = \"http://a\"\n}", 1, "Missing attribute", `The block wants "listen": where clients connect.`},
	{"signaling \"a\" {\n  listen = \":1\"\n}", 1, "Missing attribute", `The block wants "upstream"`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstrem = \"b\"\n  upstream = \"http://a\"\n}", 3, "Unsupported argument", "upstrem"},
	{"signaling \"a\" {\n  listen = \"8443\"\n  upstream = \"http://a\"\n}", 2, "Not an address", `not "8443"`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n}\nsignaling \"b\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n}", 6, "Address twice", `":1" is where signaling "a" listens`},
	{"signaling \"a\" {\n  listen = \"127.0.0.1:8480\"\n  upstream = \"http://a\"\n}", 2, "Address twice", "is where the API listens"},
	{"signaling \"a\" {\n  listen = \"127.0.0.1:5354\"\n  upstream = \"http://a\"\n}", 2, "Address twice", "is where DNS is answered"},
	{"signaling \"a\" {\n  listen = \":853\"\n  upstream = \"http://a\"\n}\ndns {\n  tls {\n    listen = \":853\"\n    certificate_file = \"a\"\n    key_file = \"b\"\n  }\n}", 2, "Address twice", "is where DNS over TLS is answered"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"meet.example.com\"\n}", 3, "Not a site", `as in "https://meet.example.com", not "meet.example.com"`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"wss://meet.example.com\"\n}", 3, "Not a site", "Write scheme and host"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"https://u:hunter2@meet.example.com\"\n}", 3, "Not a site", "No name and no password"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"https://meet.example.com/app\"\n}", 3, "Not a site", "scheme and host alone"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"https://meet.example.com?\"\n}", 3, "Not a site", "scheme and host alone"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"https://meet.example.com:99999\"\n}", 3, "Not a site", "no host with a port"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"https://-a\"\n}", 3, "Not a site", "no host with a port"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"https://a:\"\n}", 3, "Not a site", "no host with a port"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  ca_file = \"b\"\n}", 4, "No effect", "leave ca_file out"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  paths = []\n}", 4, "No path", "leave paths out for all of them"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  paths = [\n    \"/ws\",\n    \"api\",\n  ]\n}", 6, "Not a path", `"api" is none`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  paths = [\"/*/ws\"]\n}", 4, "Not a path", `"/*/ws" is none`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  paths = [\"/ws?a\"]\n}", 4, "Not a path", "has no escapes"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  endpoint = \"server\"\n}", 4, "Unknown endpoint", `"server" is none of client, upstream.`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  trusted_proxies = []\n}", 4, "No network", "leave it out"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  trusted_proxies = [\"10.0.0.5\"]\n}", 4, "Not a network", `For that host alone: "10.0.0.5/32".`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  trusted_proxies = [\"10.0.0.5/24\"]\n}", 4, "Not a network", `Its network is "10.0.0.0/24".`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  trusted_proxies = [\"all\"]\n}", 4, "Not a network", `not "all"`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  proxy_protocol = true\n}", 4, "Nobody to trust", "with trusted_proxies"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  max_connections = 0\n}", 4, "Number out of range", "a whole number of 1 to 1000000"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  max_connections = 1.5\n}", 4, "Number out of range", "a whole number"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  max_connections = \"9\"\n}", 4, "Wrong type", "a number, without quotes"},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  tls {\n    certificate_file = \"a\"\n  }\n}", 4, "Missing attribute", `The block wants "key_file"`},
	{"signaling \"a\" {\n  listen = \":1\"\n  upstream = \"http://a\"\n  tls {\n    certificate_file = \"a\"\n    key_file = \"b\"\n    key = \"hunter2\"\n  }\n}", 7, "Secret in the configuration", "name that with key_file. If"},

	// browsers.
	{"browsers {\n  extensions = [\"moz-extension://*\"]\n}", 1, "Missing attribute", `The block wants "listen": where browsers connect.`},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n}", 1, "Missing attribute", `The block wants "extensions": the origins`},
	{"browsers {\n  listen = \":1\"\n  extensions = [\"moz-extension://*\"]\n}", 2, "No TLS", ":1 is not on loopback"},
	{"browsers {\n  listen = \"unix:/run/a\"\n  extensions = [\"moz-extension://*\"]\n}", 2, "Not an address", "The port is a number"},
	{"browsers {\n  listen = \"127.0.0.1:8480\"\n  extensions = [\"moz-extension://*\"]\n}", 2, "Address twice", `"127.0.0.1:8480" is where the API listens`},
	{"signaling \"a\" {\n  listen = \"127.0.0.1:1\"\n  upstream = \"http://a\"\n}\nbrowsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\"moz-extension://*\"]\n}", 6, "Address twice", `is where signaling "a" listens`},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = []\n}", 3, "No extension", "leave the block browsers out"},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\n    \"moz-extension://*\",\n    \"chrome-extension://*\",\n  ]\n}", 5, "Not an extension", "also one that a user has installed"},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\"chrome-extension://abc\"]\n}", 3, "Not an extension", "32 letters of a to p"},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\"chrome-extension://abcdefghijklmnopabcdefghijklmnop/\"]\n}", 3, "Not an extension", "nothing follows it"},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\"moz-extension://extension@candgw\"]\n}", 3, "Not an extension", `Write "moz-extension://*"`},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\"https://meet.example.com\"]\n}", 3, "Not an extension", "Web pages are never answered"},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\"*\"]\n}", 3, "Not an extension", "Web pages are never answered"},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = \"moz-extension://*\"\n}", 3, "Wrong type", "a list of origins of extensions"},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\"moz-extension://*\"]\n  rate = 0\n}", 4, "Number out of range", "1 to 1000000"},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\"moz-extension://*\"]\n  tls {\n    key_file = \"a\"\n  }\n}", 4, "Missing attribute", `The block wants "certificate_file"`},
	{"browsers {\n  listen = \"127.0.0.1:1\"\n  extensions = [\"moz-extension://*\"]\n  drain = \"1s\"\n}", 4, "Unsupported argument", "drain"},

	// log.
	{"log {\n  level = \"warning\"\n}", 2, "Unknown level", `"warning" is none of debug, info, warn, error.`},
	{"log {\n  level = debug\n}", 2, "Wrong type", `"level" wants a text in quotes.`},
	{"log {\n  format = \"yaml\"\n}", 2, "Unknown format", `"yaml" is none of text, json.`},

	// Secrets.
	{"token = \"hunter2\"", 1, "Secret in the configuration", "Put it into a file of mode 0600 and name that with token_file of the block api."},
	{"api {\n  token = \"hunter2\"\n}", 2, "Secret in the configuration", "name that with token_file. If others could read it here, replace it."},
	{"api {\n  password = hunter2\n}", 2, "Secret in the configuration", "name that with token_file."},
	{"keyring {\n  passphrase = \"hunter2\"\n}", 2, "Secret in the configuration", "name that with passphrase_file."},
	{"keyring {\n  kek = <<X\nhunter2\nX\n}", 2, "Secret in the configuration", "name that with kek_file."},
	{"dns {\n  tls {\n    listen = \":853\"\n    certificate_file = \"a\"\n    key_file = \"b\"\n    key = \"hunter2\"\n  }\n}", 6, "Secret in the configuration", "name that with key_file. If"},
	{"dns {\n  key = [\"hunter2\"]\n}", 2, "Secret in the configuration", "name that with kek_file of the block keyring."},
}

func TestMistakes(t *testing.T) {
	for _, tt := range mistakes {
		path := filepath.Join(t.TempDir(), "candgw.hcl")
		if err := os.WriteFile(path, []byte(tt.text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path)
		var invalid *Invalid
		if c != nil || !errors.As(err, &invalid) || !errors.Is(err, ErrInvalid) {
			t.Errorf("%s\ngot %+v, %v", tt.text, c, err)
			continue
		}
		p := invalid.Problems[0]
		if place := fmt.Sprintf("%s:%d", path, tt.line); len(invalid.Problems) != 1 || p.Place() != place || p.Severity != "error" || p.Summary != tt.summary || !strings.Contains(p.Detail, tt.say) {
			t.Errorf("%s\ngot %v\nwant %s: %s: %s", tt.text, err, place, tt.summary, tt.say)
		}
		if told := err.Error(); !strings.HasPrefix(told, "invalid configuration: "+p.Place()+"\n\nError: "+tt.summary) || strings.Contains(told, "hunter2") {
			t.Errorf("%s\ngot %s", tt.text, told)
		}
	}
}

// TestAllMistakes has all of a file told at once, each with its line.
func TestAllMistakes(t *testing.T) {
	_, err := parse(`data_dirs = "/x"
allow_env = "yes"
dns {
  listen = "53"
  zones  = ["local", "a..b", "."]
}
rotate { every = "1s" }
api { token = "hunter2" }
`)
	var invalid *Invalid
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	var lines []int
	for _, p := range invalid.Problems {
		lines = append(lines, p.Line)
	}
	if fmt.Sprint(lines) != "[1 2 4 5 5 7 8]" {
		t.Errorf("got lines %v", lines)
	}
	for _, want := range []string{
		"invalid configuration: /etc/candgw/candgw.hcl:1, /etc/candgw/candgw.hcl:2, ",
		`   4:   listen = "53"`,
		"   8: api { token = ********* }",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	var asPolicies *policy.Invalid
	if errors.Is(err, policy.ErrInvalid) || errors.As(err, &asPolicies) {
		t.Error("it passes for mistakes in policies")
	}
}

func TestMistakesOfFiles(t *testing.T) {
	for _, tt := range []struct{ name, text, say string }{
		{"a.hcl", strings.Repeat("#", maxFile+1), "A configuration has at most 64 KiB"},
		{"a.hcl", "# \xff", "A configuration is encoded in UTF-8"},
		{"a.hcl", "data_dir = " + strings.Repeat("[", 5000), "Nested too deep"},
		{"a.hcl", `{"data_dir": "/x"}`, "Argument or block definition required"},
		{"a.hcl.json", `data_dir = "/x"`, "Not JSON"},
		{"a.hcl.json", `{"data_dirs": "/x"}`, `Did you mean "data_dir"?`},
		{"a.hcl.json", `{"dns": {"listen": "53"}}`, "Write host and port"},
		{"a.hcl.json", `{"dns": {"zones": ["local", "."]}}`, "Not a zone"},
		{"a.hcl.json", `{"dns": {"listen": "${here}"}}`, "Variables not allowed"},
		{"a.hcl.json", `{"dns": [{}, {}]}`, "Duplicate dns block"},
		{"a.hcl.json", `{"dns": "53"}`, "dns"},
		{"a.hcl.json", `{"log": {"level": "warning"}}`, "none of debug, info, warn, error"},
		{"a.hcl.json", `{"api": {"token": "hunter2"}}`, "name that with token_file"},
		{"a.hcl.json", `{"api": {"token": "hunter2}}`, "on a.hcl.json line 1, column "},
		{"a.hcl", "api {\n  token = \"hunter2\n}", "Error: Invalid multi-line string\n\n  on a.hcl line 2, column 19\n\nQuoted strings may not be split"},
		{"a.hcl", "keyring {\n  key = hunter2 5\n}", "on a.hcl line 2, column "},
	} {
		c, err := Parse(policy.Source{Name: tt.name, Text: []byte(tt.text)})
		if c != nil || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.say) || !strings.HasPrefix(err.Error(), "invalid configuration: "+tt.name) {
			t.Errorf("%.60s: got %+v, %v", tt.text, c, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Error("the secret is shown")
		}
	}
}
