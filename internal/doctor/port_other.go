//go:build !linux

package doctor

func programsOnPort(string) (names []string, unseen int, known bool) { return nil, 0, false }

func joined(string, string, bool) (yes, known bool) { return false, false }
