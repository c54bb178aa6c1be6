//go:build ignore

// Asks a DNS server over UDP as fast as it answers, or at a fixed rate, checks every answer, and prints one
// line of JSON. One thread that never sleeps: give it a core of its own.
//
//	load [-s SECONDS | -o] [-r RATE] [-q WINDOW] [-c SOCKETS] PORT FILE
//
//	-s  how long, 1 if not given
//	-o  each name once, instead of for a time
//	-r  so many queries a second, evenly spaced, instead of as many as are answered
//	-q  how many queries wait for answers at once, 128 if not given
//	-c  from how many sockets, 8 if not given
//
// FILE has a name and its address on each line, IPv4 (asks for A) or IPv6 (asks for AAAA).

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	HEADER = 12,
	MAX_QUERY = 128,
	MAX_PACKET = 1500,
	BATCH = 32,
	MAX_WINDOW = 256, // of one socket: a slot is the low octet of the id
	MAX_SOCKETS = 64,
};

static const uint64_t second = 1000000000, patience = 2 * second;

// A question is one name's query, and what is to be answered.
struct question {
	uint8_t query[MAX_QUERY];
	uint8_t length, address_length;
	uint8_t address[16];
};

static struct question *questions;
static size_t question_count;

// A slot is a query that waits for its answer; at is 0 if there is none.
struct slot {
	uint64_t at;
	uint32_t question;
	uint8_t turn; // the high octet of the id, another one each time
};

struct line {
	int socket;
	struct slot slots[MAX_WINDOW];
	uint8_t free[MAX_WINDOW];
	int free_count;
};

static struct line lines[MAX_SOCKETS];
static int line_count = 8, window = 128, rate;

static uint64_t sent, answered, wrong, lost, stray;
static uint64_t latency[1 << 20]; // by eighths of a microsecond; the last one is all above

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * second + t.tv_nsec;
}

static void read_questions(const char *path)
{
	FILE *f = fopen(path, "r");
	if (!f)
		err(2, "%s", path);
	char name[256], address[64];
	size_t room = 0;
	while (fscanf(f, "%255s %63s", name, address) == 2) {
		if (question_count == room) {
			room = room ? 2 * room : 1024;
			if (!(questions = realloc(questions, room * sizeof *questions)))
				err(1, "memory");
		}
		struct question *q = &questions[question_count++];
		bool v6 = strchr(address, ':');
		q->address_length = v6 ? 16 : 4;
		if (inet_pton(v6 ? AF_INET6 : AF_INET, address, q->address) != 1)
			errx(2, "%s: %s is no address", path, address);
		if (HEADER + strlen(name) + 6 > MAX_QUERY)
			errx(2, "%s: %s is too long", path, name);
		memset(q->query, 0, HEADER);
		q->query[2] = 1; // recursion desired, as endpoints ask
		q->query[5] = 1; // one question
		uint8_t *p = q->query + HEADER;
		for (char *label = strtok(name, "."); label; label = strtok(NULL, ".")) {
			*p++ = strlen(label);
			p = mempcpy(p, label, strlen(label));
		}
		p = mempcpy(p, (uint8_t[]){0, 0, v6 ? 28 : 1, 0, 1}, 5);
		q->length = p - q->query;
	}
	if (!feof(f) || !question_count)
		errx(2, "%s: want lines of a name and an address", path);
	fclose(f);
}

static void open_lines(int port)
{
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	for (int i = 0; i < line_count; i++) {
		struct line *l = &lines[i];
		l->socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		if (l->socket < 0 || connect(l->socket, (struct sockaddr *)&server, sizeof server) < 0)
			err(1, "socket");
		l->free_count = window / line_count;
		for (int j = 0; j < l->free_count; j++)
			l->free[j] = j;
	}
}

// ask sends n queries, the next of the list. There must be as many free slots.
static void ask(struct line *l, int n)
{
	static uint8_t packets[BATCH][MAX_QUERY];
	static uint32_t next;
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
	uint64_t at = now();
	for (int i = 0; i < n; i++) {
		uint8_t index = l->free[--l->free_count];
		struct slot *slot = &l->slots[index];
		struct question *q = &questions[next];
		*slot = (struct slot){.at = at, .question = next, .turn = slot->turn + 1};
		next = next + 1 == question_count ? 0 : next + 1;
		memcpy(packets[i], q->query, q->length);
		packets[i][0] = slot->turn;
		packets[i][1] = index;
		parts[i] = (struct iovec){packets[i], q->length};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	for (int done = 0; done < n;) {
		int k = sendmmsg(l->socket, messages + done, n - done, 0);
		if (k < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
			err(1, "sendmmsg");
		if (k > 0)
			done += k;
	}
	sent += n;
}

// right reports whether a reply answers a question with its address, RFC 1035, section 4.1.
static bool right(const struct question *q, const uint8_t *p, int length)
{
	int asked = q->length - HEADER;
	if (!(p[2] & 0x80) || p[2] & 0x02 || p[3] & 0x0f || p[5] != 1 || p[7] < 1)
		return false; // no response, cut short, an error, or without answer
	if (length < q->length + 12 + q->address_length || memcmp(p + HEADER, q->query + HEADER, asked))
		return false;
	const uint8_t *rr = p + q->length, *end = p + length;
	if (rr[0] == 0xc0) {
		if (rr[1] != HEADER)
			return false;
		rr += 2;
	} else {
		if (memcmp(rr, q->query + HEADER, asked - 4))
			return false;
		rr += asked - 4;
	}
	return rr + 10 + q->address_length <= end && !memcmp(rr, q->query + q->length - 4, 4) && rr[9] == q->address_length &&
	       !memcmp(rr + 10, q->address, q->address_length);
}

// hear takes what has come, and returns how much that was.
static int hear(struct line *l)
{
	static uint8_t packets[BATCH][MAX_PACKET];
	static struct iovec parts[BATCH];
	static struct mmsghdr messages[BATCH];
	if (!parts[0].iov_base)
		for (int i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){packets[i], MAX_PACKET};
			messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
		}
	int n = recvmmsg(l->socket, messages, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			err(1, "recvmmsg"); // ECONNREFUSED: nobody serves the port
		return 0;
	}
	uint64_t at = now();
	for (int i = 0; i < n; i++) {
		const uint8_t *p = packets[i];
		struct slot *slot = &l->slots[p[1]];
		if (messages[i].msg_len < HEADER || !slot->at || slot->turn != p[0]) {
			stray++; // it was given up
			continue;
		}
		uint64_t eighths = (at - slot->at) / 125, most = sizeof latency / sizeof *latency - 1;
		latency[eighths < most ? eighths : most]++;
		answered++;
		if (!right(&questions[slot->question], p, messages[i].msg_len))
			wrong++;
		slot->at = 0;
		l->free[l->free_count++] = p[1];
	}
	return n;
}

// give_up frees the slots of queries that were not answered in time, and returns how many still wait.
static int give_up(uint64_t before)
{
	int waiting = 0;
	for (int i = 0; i < line_count; i++)
		for (int j = 0; j < window / line_count; j++) {
			struct slot *slot = &lines[i].slots[j];
			if (!slot->at)
				continue;
			if (slot->at > before) {
				waiting++;
				continue;
			}
			lost++;
			slot->at = 0;
			lines[i].free[lines[i].free_count++] = j;
		}
	return waiting;
}

static double percentile(double part)
{
	uint64_t rest = answered * part;
	size_t i = 0;
	while (i + 1 < sizeof latency / sizeof *latency && rest >= latency[i])
		rest -= latency[i++];
	return i / 8.0;
}

// run asks until the time is over, or, if most is not 0, so many queries.
static double run(double seconds, uint64_t most)
{
	int share = window / line_count, batch = share / 2 < BATCH ? (share + 1) / 2 : BATCH;
	uint64_t start = now(), end = start + seconds * second, look = start + patience;
	for (uint64_t at = start; most ? sent < most : at < end; at = now()) {
		if (at >= look) {
			give_up(at - patience);
			look = at + patience / 4;
		}
		for (int i = 0; i < line_count; i++) {
			hear(&lines[i]);
			if (!rate && lines[i].free_count >= batch && (!most || most - sent >= (uint64_t)batch))
				ask(&lines[i], batch);
			else if (!rate && most && sent < most && most - sent < (uint64_t)batch && lines[i].free_count)
				ask(&lines[i], 1);
		}
		// What is late is sent at once: the rate holds over the whole, not only from one query to the next.
		while (rate && sent < (now() - start) / 1e9 * rate && (!most || sent < most)) {
			struct line *l = &lines[sent % line_count];
			if (!l->free_count)
				break;
			ask(l, 1);
		}
	}
	double took = (now() - start) / 1e9;
	for (uint64_t at = now(), last = at + patience; give_up(at - patience) && at < last; at = now())
		for (int i = 0; i < line_count; i++)
			hear(&lines[i]);
	give_up(now());
	return took;
}

int main(int argc, char **argv)
{
	double seconds = 1;
	bool once = false;
	for (int o; (o = getopt(argc, argv, "s:or:q:c:")) != -1;)
		switch (o) {
		case 's': seconds = atof(optarg); break;
		case 'o': once = true; break;
		case 'r': rate = atoi(optarg); break;
		case 'q': window = atoi(optarg); break;
		case 'c': line_count = atoi(optarg); break;
		default: return 2;
		}
	if (argc - optind != 2)
		errx(2, "usage: load [-s SECONDS | -o] [-r RATE] [-q WINDOW] [-c SOCKETS] PORT FILE");
	if (line_count < 1 || line_count > MAX_SOCKETS || window < line_count || window / line_count > MAX_WINDOW)
		errx(2, "want 1 to %d sockets, and of each 1 to %d queries at once", MAX_SOCKETS, MAX_WINDOW);
	read_questions(argv[optind + 1]);
	open_lines(atoi(argv[optind]));
	double took = run(seconds, once ? question_count : 0);
	printf("{\"sent\":%lu,\"answered\":%lu,\"wrong\":%lu,\"lost\":%lu,\"stray\":%lu,\"seconds\":%.6f,\"median_us\":%.3f,\"p99_us\":%.3f}\n",
	       sent, answered, wrong, lost, stray, took, percentile(0.5), percentile(0.99));
	return wrong || !answered;
}
