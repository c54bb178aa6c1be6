package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/candgw/candgw/internal/config"
)

// readConfig reads the file of --config, once, and takes from it what every command uses, unless flags say
// otherwise.
func (a *app) readConfig(fs *flag.FlagSet) error {
	fs.Visit(func(f *flag.Flag) { a.dataDirSet = a.dataDirSet || f.Name == "data-dir" })
	if a.configFile == "" || a.config != nil {
		return nil
	}
	c, err := config.Load(a.configFile)
	if err != nil {
		return err
	}
	a.config = c
	if c.DataDir != "" && !a.dataDirSet {
		a.dataDir = c.DataDir
	}
	return nil
}

// configCommand is the command config.
func (a *app) configCommand(args []string) error {
	args, err := a.parse(a.flags("config"), args, false)
	if err != nil {
		return err
	}
	if len(args) == 0 || args[0] != "check" {
		return usageError("config wants check")
	}
	paths, err := a.parse(a.flags("config check"), args[1:], true)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return usageError("config check wants files")
	}
	var failed []error
	for _, path := range paths {
		_, err := config.Load(path)
		var invalid *config.Invalid
		if errors.As(err, &invalid) {
			for _, p := range invalid.Problems {
				fmt.Fprintf(a.stderr, "%s: %s\n\n", p.Place(), p.Text)
			}
			err = errSilent
		}
		failed = append(failed, err)
	}
	return worst(failed)
}
