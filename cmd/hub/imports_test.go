package hub_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// module is the path of this module, and root its folder from here.
const (
	module = "github.com/hanse-federation/hanse"
	root   = "../.."
)

// A rule says what packages must not import. Patterns are paths, "/..." at the end includes what is below; those that
// begin with "./" are of this module.
type rule struct {
	// why stands in the error: who meets it should not have to ask.
	why string
	// from are the packages that the rule is for, except those in but.
	from, but []string
	// not is what they must not import, unless it is in except.
	not, except []string
	// directly: only imports of the package itself count. Otherwise also those of what it imports.
	directly bool
}

var (
	purePackages = []string{"./placement", "./placement/expression", "./federation/kinds", "./federation/kinds/override", "./federation/names/owners",
		"./dns/zone", "./dns/wire", "./dns/answer", "./dns/balance", "./dns/sign", "./api/printable", "./federation/names/probescope"}
	reconcilers = []string{"./federation/template/admission", "./federation/template/events", "./federation/delivery/collect",
		"./federation/names/expose", "./federation/member/lifecycle", "./federation/delivery/propagate",
		"./federation/decide/schedule"}
	clients = []string{"k8s.io/client-go/...", "sigs.k8s.io/controller-runtime/...", "go.etcd.io/...",
		"github.com/gin-gonic/...", "google.golang.org/grpc/..."}
)

var rules = []rule{
	{why: "pure packages take values and return values: nothing in them reaches a cluster, a store or a network",
		from: purePackages, not: clients, except: []string{"k8s.io/client-go/kubernetes/scheme"}},
	{why: "pure packages have no server, log, context, file or lock: the same input gives the same output, on any machine",
		from: purePackages, directly: true,
		not: []string{"net/http/...", "log/...", "context", "os/...", "os", "math/rand/..."}},
	{why: "placement is the engine: of Kubernetes it knows label selectors, and no objects",
		from: []string{"./placement"}, not: []string{"./api/...", "k8s.io/api/...",
			"k8s.io/apimachinery/pkg/apis/...", "k8s.io/apimachinery/pkg/runtime/..."}},
	{why: "the API's types are what everything else stands on; they stand on nothing of ours",
		from: []string{"./api/v1alpha1"}, not: []string{"./..."}},
	{why: "DNS serves zones, whoever makes them; federation/names/expose hands it one",
		from: []string{"./dns/..."},
		not:  []string{"./federation/...", "./api/...", "./placement", "k8s.io/...", "sigs.k8s.io/..."}},
	{why: "the API serves objects; what controllers make of them is not its business, they meet in stored objects",
		from: []string{"./api/..."}, not: []string{"./federation/...", "./placement", "./dns/..."}},
	{why: "k8s.io/kubernetes is no library: it stays behind one package, so that it can be replaced",
		from: []string{"./..."}, but: []string{"./api/native"}, not: []string{"k8s.io/kubernetes/..."}, directly: true},
	{why: "the federation works through the hub's API, or through federation.Records that it is handed; it knows no store",
		from: []string{"./federation/..."}, directly: true,
		not: []string{"./api/server", "./api/storage", "./api/access", "./api/native", "go.etcd.io/..."}},
	{why: "what talks to one member knows of no placement and no other member",
		from: []string{"./federation/member", "./federation/delivery/apply", "./federation/member/enroll", "./federation/member/proxy"},
		not:  append([]string{"./placement", "./dns/..."}, reconcilers...)},
	{why: "templates are known without any member: admission and matching work while all members are away",
		from: []string{"./federation/template", "./federation/template/match", "./federation/template/admission"},
		not: []string{"./federation/member/...", "./federation/delivery/...", "./federation/decide/...",
			"./federation/names/..."}},
	{why: "delivery carries decisions out and makes none",
		from: []string{"./federation/delivery/..."}, not: []string{"./federation/decide/...", "./federation/names/..."}},
	{why: "DNS names are built from stored objects, so that every replica of the hub answers alike",
		from: []string{"./federation/names/..."},
		not:  []string{"./federation/member/...", "./federation/delivery/...", "./federation/decide/..."}},
	{why: "reconcilers never call one another; what two need goes down into a package with a name of its own",
		from: reconcilers, not: reconcilers},
	{why: "only cmd/hub sees everything; nothing below it knows how it is put together",
		from: []string{"./api/...", "./dns/...", "./federation/...", "./placement"},
		not:  []string{"./cmd/...", "./federation"}},
	{why: "flags end in cmd/cli",
		from: []string{"./..."}, but: []string{"./cmd/...", "./api/native", "./placement/story"}, directly: true,
		not: []string{"github.com/spf13/...", "flag"}},
	{why: "gin is the router of api/server, and nobody else's",
		from: []string{"./..."}, but: []string{"./api/server/..."}, directly: true,
		not: []string{"github.com/gin-gonic/..."}},
}

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath, Dir, Doc string
	Imports, Deps        []string
	GoFiles              []string
}

func TestImportsFlowOneWay(t *testing.T) {
	packages := listPackages(t)
	for _, r := range rules {
		for _, p := range packages {
			if !matches(p.ImportPath, r.from) || matches(p.ImportPath, r.but) {
				continue
			}
			imports := p.Deps
			if r.directly {
				imports = p.Imports
			}
			for _, imported := range imports {
				if imported != p.ImportPath && matches(imported, r.not) && !matches(imported, r.except) {
					t.Errorf("%s imports %s\n\t%s", short(p.ImportPath), short(imported), r.why)
				}
			}
		}
	}
}

// A rule about packages that are not there checks nothing.
func TestRulesNamePackagesThatExist(t *testing.T) {
	packages := listPackages(t)
	for _, r := range rules {
		for _, pattern := range slices.Concat(r.from, r.but) {
			found := slices.ContainsFunc(packages, func(p goPackage) bool { return matches(p.ImportPath, []string{pattern}) })
			if !found {
				t.Errorf("no package is %s\n\t%s", pattern, r.why)
			}
		}
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range listPackages(t) {
		if p.Doc == "" {
			t.Errorf("%s does not say its job", short(p.ImportPath))
		}
		if len(p.GoFiles) > 1 && !slices.Contains(p.GoFiles, "doc.go") {
			t.Errorf("%s has several files and says its job in none called doc.go", short(p.ImportPath))
		}
	}
}

// A clock cannot be seen in the imports: time is also durations and dates.
func TestPurePackagesHaveNoClock(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	for _, p := range listPackages(t) {
		if !matches(p.ImportPath, purePackages) {
			continue
		}
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if of, ok := n.X.(*ast.Ident); ok && of.Name == "time" && slices.Contains(clock, n.Sel.Name) {
						t.Errorf("%s: time.%s in a pure package: pass the time in", files.Position(n.Pos()), n.Sel.Name)
					}
				case *ast.GoStmt:
					t.Errorf("%s: a goroutine in a pure package", files.Position(n.Pos()))
				}
				return true
			})
		}
	}
}

// matches tells whether a package is one of the patterns.
func matches(importPath string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if below, ok := strings.CutPrefix(pattern, "./"); ok {
			pattern = path.Join(module, below)
		}
		if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
			return importPath == prefix || strings.HasPrefix(importPath, prefix+"/")
		}
		return importPath == pattern
	})
}

func short(importPath string) string { return strings.TrimPrefix(importPath, module+"/") }

// listPackages asks the go command once for all tests.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	packages, err := goList()
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

var goList = sync.OnceValues(func() ([]goPackage, error) {
	command := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Imports,Deps,GoFiles", "./...")
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = errors.New(string(failed.Stderr))
		}
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading what go list says: %w", err)
		}
		packages = append(packages, p)
	}
})
