package cli

import (
	"context"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"
)

// version is set by the linker: -X github.com/hanse-federation/hanse/cmd/cli.version=v0.1.0.
var version = "dev"

// versions are what the command prints.
type versions struct {
	Program  string `json:"program"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Hub      string `json:"hub,omitempty"`
}

func newVersion(hub *access) *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "The version of this program, and of the hub if there is one",
		Args:  cobra.NoArgs,
	}
	output := formatFlag(c, asJSON, asYAML)
	c.RunE = func(c *cobra.Command, _ []string) error {
		v := versions{Program: version, Revision: revision(), Go: runtime.Version(), Hub: hubVersion(c.Context(), hub)}
		return printed{value: v, head: []string{"PROGRAM", "REVISION", "GO", "HUB"},
			rows: [][]string{{v.Program, v.Revision, v.Go, v.Hub}}}.print(c, *output)
	}
	return c
}

// revision is the commit that the program was built from, if the build recorded it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return ""
}

// hubVersion is what the hub says of itself; empty if there is none to ask.
func hubVersion(ctx context.Context, hub *access) string {
	config, err := hub.config()
	if err != nil {
		return ""
	}
	config.Timeout = 3 * time.Second
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return ""
	}
	raw, err := d.RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return ""
	}
	var answer struct{ GitVersion string }
	if json.Unmarshal(raw, &answer) != nil {
		return ""
	}
	return answer.GitVersion
}
