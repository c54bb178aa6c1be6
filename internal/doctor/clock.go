package doctor

func (n *Node) checkClock(r *report) {
	const check = "clock"
	switch yes, known := synchronized(); {
	case !known:
		r.add(check, Skip, "whether it is set by NTP cannot be seen here", "See that it is: keys retire by the clock.")
	case !yes:
		r.add(check, Warn, "nothing sets it: it may be ahead or behind", "Run chrony or systemd-timesyncd: keys retire by the clock, and it should be the same on every node.")
	default:
		r.ok(check, "it is synchronized")
	}
}
