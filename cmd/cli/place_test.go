package cli

import "testing"

func TestClosest(t *testing.T) {
	clusters := []string{"east", "west", "eu-north-1", "eu-north-2"}
	for name, want := range map[string]string{
		"wset": "west", "esat": "east", "est": "east", "eastt": "east", "eu-nort-1": "eu-north-1", "mars": "", "": "",
		"production": "",
	} {
		if got := closest(name, clusters); got != want {
			t.Errorf("%q is taken for %q, want %q", name, got, want)
		}
	}
}
