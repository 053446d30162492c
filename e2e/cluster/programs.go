package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Programs are the paths of the executables that a bare cluster runs.
type Programs struct {
	Etcd              string
	APIServer         string
	ControllerManager string
	Scheduler         string
	Kwok              string
	Kubectl           string
}

// The modules that the programs come from; e2e/go.mod says which versions.
const (
	kubernetesModule = "k8s.io/kubernetes"
	etcdModule       = "go.etcd.io/etcd/server/v3"
	kwokModule       = "sigs.k8s.io/kwok"
	kwokPackage      = "sigs.k8s.io/kwok/cmd/kwok"
	kubernetesMain   = "cluster/kubernetes" // under e2e
)

// FindPrograms finds the programs of a control plane on this machine and
// builds what is not there, telling of its progress on the writer. Only one
// process builds a program, others wait for it. The version is a release of Kubernetes, such as v1.36.3; empty means the
// one that E2E_K8S_VERSION names, or else the installed one, or else that of e2e/go.mod.
func FindPrograms(ctx context.Context, progress io.Writer, version string) (Programs, error) {
	b, err := newBuilder(progress)
	if err != nil {
		return Programs{}, err
	}
	var p Programs
	if err := b.kubernetes(ctx, version, &p); err != nil {
		return Programs{}, err
	}
	if p.Etcd = findInstalled("etcd"); p.Etcd == "" {
		if p.Etcd, err = b.tool(ctx, "etcd", etcdModule, etcdModule); err != nil {
			return Programs{}, err
		}
	}
	if p.Kwok, err = b.tool(ctx, "kwok", kwokModule, kwokPackage); err != nil {
		return Programs{}, err
	}
	return p, nil
}

// FindTool finds a program that scenarios use beside the clusters, such as helm,
// on this machine, or builds it once from a package of a module. It is built
// apart from e2e/go.mod, so that it changes no version there.
func FindTool(ctx context.Context, progress io.Writer, name, module, version, pkg string) (string, error) {
	if path := findInstalled(name); path != "" {
		return path, nil
	}
	b, err := newBuilder(progress)
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.bin, name+"-"+version)
	return file, b.once(ctx, file, func() error {
		dir, err := b.newModule(name+"-"+version, module, version)
		if err != nil {
			return fmt.Errorf("setting up a module for %s %s: %w", name, version, err)
		}
		return b.build(ctx, name+" "+version, dir, pkg, file, "")
	})
}

// folderOfE2E is the root of this module: the source is at hand, because all
// that this package is for runs by "go run" and "go test".
func folderOfE2E() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
}

// findInstalled returns the path of a program in KUBEBUILDER_ASSETS or on
// PATH, or nothing.
func findInstalled(name string) string {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		if path, err := exec.LookPath(filepath.Join(assets, name)); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// lock waits until no other process holds the lock that goes with a file.
func lock(ctx context.Context, file string) (unlock func(), err error) {
	at := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".lock")
	f, err := os.OpenFile(at, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing gives the lock back
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// A builder makes programs from Go modules.
type builder struct {
	e2e      string // the folder of this module
	bin      string // where programs are kept
	progress io.Writer
}

// newBuilder returns the builder of this repository.
func newBuilder(progress io.Writer) (builder, error) {
	b := builder{e2e: folderOfE2E(), progress: progress}
	b.bin = filepath.Join(filepath.Dir(b.e2e), "bin", "cluster")
	if err := os.MkdirAll(b.bin, 0o755); err != nil {
		return b, fmt.Errorf("making the folder for cluster programs: %w", err)
	}
	return b, nil
}

// once makes a file that is not there, while others who want it wait.
func (b builder) once(ctx context.Context, file string, make func() error) error {
	if exists(file) {
		return nil
	}
	unlock, err := lock(ctx, file)
	if err != nil {
		return fmt.Errorf("waiting for another build of %s: %w", filepath.Base(file), err)
	}
	defer unlock()
	if exists(file) {
		return nil
	}
	return make()
}

// kubernetes fills in the programs of Kubernetes: the installed ones if they
// are all there and no other release is asked for, else built ones. They are
// taken as a set, since a controller manager newer than its API server is not
// a supported combination.
func (b builder) kubernetes(ctx context.Context, wanted string, p *Programs) error {
	if wanted == "" {
		wanted = os.Getenv("E2E_K8S_VERSION")
	}
	if wanted == "" {
		p.APIServer = findInstalled("kube-apiserver")
		p.ControllerManager = findInstalled("kube-controller-manager")
		p.Scheduler = findInstalled("kube-scheduler")
		p.Kubectl = findInstalled("kubectl")
		if p.APIServer != "" && p.ControllerManager != "" && p.Scheduler != "" && p.Kubectl != "" {
			return nil
		}
	}
	pinned, err := b.pinnedVersion(ctx, kubernetesModule)
	if err != nil {
		return err
	}
	version := pinned
	if wanted != "" {
		version = wanted
	}
	major, minor, ok := releaseOf(version)
	if !ok {
		return fmt.Errorf("%q is not a release of Kubernetes such as v1.36.3", version)
	}

	file := filepath.Join(b.bin, "kubernetes-"+version)
	err = b.once(ctx, file, func() error {
		dir, pkg := b.e2e, "./"+kubernetesMain
		if version != pinned {
			if dir, err = b.moduleFor(ctx, version); err != nil {
				return fmt.Errorf("setting up a module for Kubernetes %s: %w", version, err)
			}
			pkg = "."
		}
		const v = "k8s.io/component-base/version."
		ldflags := fmt.Sprintf("-X %sgitVersion=%s -X %sgitMajor=%s -X %sgitMinor=%s -X %sgitTreeState=clean",
			v, version, v, major, v, minor, v)
		return b.build(ctx, "Kubernetes "+version, dir, pkg, file, ldflags)
	})
	if err != nil {
		return err
	}
	return b.linkKubernetes(version, file, p)
}

// linkKubernetes gives the one file of a Kubernetes release the names of the
// programs in it.
func (b builder) linkKubernetes(version, file string, p *Programs) error {
	dir := filepath.Join(b.bin, version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder for Kubernetes %s: %w", version, err)
	}
	for name, path := range map[string]*string{
		"kube-apiserver":          &p.APIServer,
		"kube-controller-manager": &p.ControllerManager,
		"kube-scheduler":          &p.Scheduler,
		"kubectl":                 &p.Kubectl,
	} {
		*path = filepath.Join(dir, name)
		err := os.Symlink(filepath.Join("..", filepath.Base(file)), *path)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("naming %s: %w", name, err)
		}
	}
	return nil
}

// tool returns the path of a program from another module, built if need be.
func (b builder) tool(ctx context.Context, name, module, pkg string) (string, error) {
	version, err := b.pinnedVersion(ctx, module)
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.bin, name+"-"+version)
	return file, b.once(ctx, file, func() error { return b.build(ctx, name+" "+version, b.e2e, pkg, file, "") })
}

// pinnedVersion is the version of a module in e2e/go.mod.
func (b builder) pinnedVersion(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", module)
	cmd.Dir = b.e2e
	out, err := output(cmd)
	if err != nil {
		return "", fmt.Errorf("finding the version of %s: %w", module, err)
	}
	return strings.TrimSpace(out), nil
}

// build compiles a main package into file, which appears only when it is whole.
func (b builder) build(ctx context.Context, what, dir, pkg, file, ldflags string) error {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(b.progress, "building %s: %s (%s)\n", what, fmt.Sprintf(format, args...),
			time.Since(began).Round(time.Second))
	}
	say("begun, kept in %s for the next time", b.bin)

	partial := file + ".partial"
	args := []string{"build", "-v", "-ldflags", "-s -w " + ldflags, "-o", partial}
	if dir != b.e2e {
		args = append(args, "-mod=mod") // the module was made just now and lists no more than Kubernetes
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = dir
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("building %s: %w", what, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("building %s: %w", what, err)
	}
	complaints := reportCompiling(stderr, say)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", what, err, complaints)
	}
	if err := os.Rename(partial, file); err != nil {
		return fmt.Errorf("building %s: %w", what, err)
	}
	say("done")
	return nil
}

// importPath matches what "go build -v" prints for each package that it compiles.
var importPath = regexp.MustCompile(`^[\w.~/-]+$`)

// reportCompiling reads what "go build -v" prints until its end, tells every
// few seconds how far it is, and returns the lines that are not about progress.
func reportCompiling(r io.Reader, say func(string, ...any)) (complaints string) {
	const pace = 10 * time.Second
	var compiled int
	var rest []string
	told := time.Now()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		switch line := lines.Text(); {
		case importPath.MatchString(line):
			compiled++
		case !strings.HasPrefix(line, "go: downloading "):
			rest = append(rest, line)
		}
		if time.Since(told) >= pace {
			told = time.Now()
			say("%d packages compiled", compiled)
		}
	}
	return strings.Join(rest, "\n")
}

// moduleFor makes a module that builds our Kubernetes program from another
// release, with the versions of all else that this release was made with.
func (b builder) moduleFor(ctx context.Context, version string) (dir string, err error) {
	if dir, err = b.newModule("kubernetes-"+version, kubernetesModule, version); err != nil {
		return "", err
	}
	source, err := os.ReadFile(filepath.Join(b.e2e, kubernetesMain, "main.go"))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), source, 0o644); err != nil {
		return "", err
	}
	staged, err := stagedModules(ctx, dir, version)
	if err != nil {
		return "", err
	}
	// A release v1.x.y of Kubernetes asks for the libraries that are made from
	// it at v0.0.0; they are published as v0.x.y.
	published := "v0" + strings.TrimPrefix(version, "v1")
	edit := []string{"mod", "edit"}
	for _, module := range staged {
		edit = append(edit, "-replace="+module+"="+module+"@"+published)
	}
	cmd := exec.CommandContext(ctx, "go", edit...)
	cmd.Dir = dir
	_, err = output(cmd)
	return dir, err
}

// newModule makes a folder with a module that requires another one and nothing else.
func (b builder) newModule(name, module, version string) (dir string, err error) {
	dir = filepath.Join(b.bin, "module-"+name)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	goMod := "module program\n\ngo 1.26.0\n\nrequire " + module + " " + version + "\n"
	return dir, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(goMod), 0o644)
}

// stagedModules lists the libraries that a release of Kubernetes was published with.
func stagedModules(ctx context.Context, dir, version string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", kubernetesModule+"@"+version)
	cmd.Dir = dir
	out, err := output(cmd)
	if err != nil {
		return nil, err
	}
	var download struct{ GoMod string }
	if err := json.Unmarshal([]byte(out), &download); err != nil {
		return nil, err
	}
	if out, err = output(exec.CommandContext(ctx, "go", "mod", "edit", "-json", download.GoMod)); err != nil {
		return nil, err
	}
	var goMod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal([]byte(out), &goMod); err != nil {
		return nil, err
	}
	var staged []string
	for _, r := range goMod.Require {
		if strings.HasPrefix(r.Path, "k8s.io/") && r.Version == "v0.0.0" {
			staged = append(staged, r.Path)
		}
	}
	return staged, nil
}

// releaseOf takes a version such as v1.37.2 apart.
func releaseOf(version string) (major, minor string, ok bool) {
	m := regexp.MustCompile(`^v(\d+)\.(\d+)\.\d+$`).FindStringSubmatch(version)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// output runs a command and returns what it prints; the error holds what it
// printed on its standard error.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
