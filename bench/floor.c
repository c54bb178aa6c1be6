//go:build ignore

// The floor under a DNS server's cost: it turns each query into a reply in place and checks nothing.
// What a server spends beyond this it spends on DNS.
//
//	floor PORT ADDRESS
//
// Every question gets the address, IPv4 or IPv6, whatever it asks for.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, PACKET = 512 };

int main(int argc, char **argv)
{
	// Compressed name, type A, class IN, time to live, length, address: RFC 1035, section 4.1.3.
	unsigned char answer[28] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 120, 0, 4};
	size_t length = 16;
	if (argc != 3)
		errx(2, "usage: floor PORT ADDRESS");
	if (inet_pton(AF_INET6, argv[2], answer + 12) == 1) {
		answer[3] = 28; // AAAA
		answer[11] = 16;
		length = 28;
	} else if (inet_pton(AF_INET, argv[2], answer + 12) != 1) {
		errx(2, "%s is no address", argv[2]);
	}

	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (s < 0 || bind(s, (struct sockaddr *)&local, sizeof local) < 0)
		err(1, "port %s", argv[1]);

	static unsigned char packets[BATCH][PACKET + sizeof answer];
	static struct sockaddr_in askers[BATCH];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
	for (int i = 0; i < BATCH; i++) {
		parts[i].iov_base = packets[i];
		messages[i].msg_hdr = (struct msghdr){.msg_name = &askers[i], .msg_iov = &parts[i], .msg_iovlen = 1};
	}
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			parts[i].iov_len = PACKET;
			messages[i].msg_hdr.msg_namelen = sizeof askers[i];
		}
		int n = recvmmsg(s, messages, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0)
			err(1, "recvmmsg");
		for (int i = 0; i < n; i++) {
			unsigned char *p = packets[i];
			p[2] |= 0x84; // a response, authoritative
			p[3] = 0;
			p[7] = 1; // one answer
			memcpy(p + messages[i].msg_len, answer, length);
			parts[i].iov_len = messages[i].msg_len + length;
		}
		for (int sent = 0; sent < n;) {
			int k = sendmmsg(s, messages + sent, n - sent, 0);
			if (k < 0)
				err(1, "sendmmsg");
			sent += k;
		}
	}
}
