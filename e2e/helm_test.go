package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hanse-federation/hanse/e2e/cluster"
)

// helm installs, upgrades, rolls back and uninstalls a chart on the hub, and --wait waits for the members. The chart in
// testdata/chart/web is an ordinary one with a Placement among its templates; the story is testdata/chart/helm.txt.
func TestHelm(t *testing.T) {
	s := onFleet(t)
	helm, err := cluster.FindTool(t.Context(), os.Stderr, "helm", "helm.sh/helm/v4", "v4.3.1", "helm.sh/helm/v4/cmd/helm")
	s.must(err)
	programs, err := cluster.FindPrograms(t.Context(), os.Stderr, "")
	s.must(err)
	folder := t.TempDir()
	s.must(os.Symlink(helm, filepath.Join(folder, "helm")))
	s.must(os.Symlink(programs.Kubectl, filepath.Join(folder, "kubectl")))
	tell(t, s.federation, "testdata/chart/helm.txt", s.ns+"-story", "PATH="+folder+":"+os.Getenv("PATH"))
}
