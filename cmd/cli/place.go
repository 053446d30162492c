package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
	"github.com/hanse-federation/hanse/placement"
)

// placeManager owns the fields that place sets on the hub.
const placeManager = "hanse-place"

// placeRequest is what place is asked to do.
type placeRequest struct {
	file      string
	to        string
	replicas  string
	clear     bool
	overwrite bool
}

func newPlace(hub *access) *cobra.Command {
	var req placeRequest
	c := &cobra.Command{
		Use:   "place (KIND/NAME | -f FILE) --to east=2,west=1",
		Short: "Say in one line where an object goes, and in which shares",
		Long: `Say in one line where an object goes, and in which shares.

KIND/NAME is an object on the hub; -f applies manifests to the hub and places them in the same step. The line is kept
in the annotation hanse.io/clusters of the object. For more than one line can say, write a Placement.

The exit code is 3 if the line names a cluster that is not there. The line is kept, for the cluster may join; copies that
run stay where they are until there is another place for them.`,
		Example: `  hanse place deployment/web --to east=2,west=1
  hanse place -f app.yaml --to '(env=prod)=1'
  hanse place deployment/web --to '*'
  hanse place deployment/web --clear`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := req.check(args); err != nil {
				return err
			}
			h, err := hub.connect()
			if err != nil {
				return err
			}
			client, err := dynamic.NewForConfig(h.config)
			if err != nil {
				return fmt.Errorf("making a client for %s: %w", h.what, err)
			}
			if req.file != "" {
				err = placeFile(c, h, client, req)
			} else {
				err = placeObject(c, h, client, args[0], req)
			}
			if err != nil {
				return err
			}
			return missingClusters(c.Context(), h, req.to)
		},
	}
	f := c.Flags()
	f.StringVarP(&req.file, "filename", "f", "", "manifests to apply and place (YAML or JSON; - is standard input)")
	f.StringVar(&req.to, "to", "", "clusters and weights: east=2,west=1 or * or (env=prod)=1")
	f.StringVar(&req.replicas, "replicas", "", "Divide or Duplicate the number of replicas (default: what the kind does)")
	f.BoolVar(&req.clear, "clear", false, "take the line away; a Placement that selects the object then decides")
	f.BoolVar(&req.overwrite, "overwrite", false, "with -f: take over fields that another tool set to another value")
	_ = c.RegisterFlagCompletionFunc("replicas",
		cobra.FixedCompletions([]string{"Divide", "Duplicate"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// missingClusters says which clusters of a line are not there, and which were perhaps meant.
func missingClusters(ctx context.Context, h *hubAPI, line string) error {
	terms, err := placement.ParseClusters(line)
	if err != nil || line == "" {
		return nil // the hub has taken it
	}
	var list v1alpha1.ClusterList
	if err := h.List(ctx, &list); err != nil {
		return nil //nolint:nilerr // who may not list clusters has the hub's warning
	}
	var there, missing []string
	for i := range list.Items {
		there = append(there, list.Items[i].Name)
	}
	for _, term := range terms {
		for _, name := range term.Names {
			if slices.Contains(there, name) {
				continue
			}
			text := "there is no cluster " + name
			if meant := closest(name, there); meant != "" {
				text += "; perhaps " + meant + " is meant"
			}
			missing = append(missing, text)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return notAsAsked{strings.Join(missing, "; ") + ". hanse clusters lists the members."}
}

// closest returns the name that differs least from a mistyped one, in at most a third of its letters; empty: none.
func closest(name string, names []string) string {
	best, least := "", len(name)/3+2
	for _, other := range names {
		if d := distance(name, other); d < least {
			best, least = other, d
		}
	}
	return best
}

// distance is how many letters must be added, taken out, changed or swapped with the next to make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

func (r placeRequest) check(args []string) error {
	switch {
	case (r.file == "") == (len(args) == 0):
		return usagef("name either KIND/NAME or -f FILE")
	case r.clear && (r.to != "" || r.replicas != "" || r.file != ""):
		return usagef("--clear goes with KIND/NAME alone")
	case !r.clear && r.to == "":
		return usagef("--to is missing: clusters and weights, such as east=2,west=1")
	case r.overwrite && r.file == "":
		return usagef("--overwrite goes with -f only")
	}
	return nil
}

// placeObject puts the line on an object that is on the hub.
func placeObject(c *cobra.Command, h *hubAPI, client dynamic.Interface, arg string, req placeRequest) error {
	o, err := h.resolve(arg)
	if err != nil {
		return err
	}
	line := map[string]any{v1alpha1.ClustersAnnotation: req.to}
	if req.replicas != "" {
		line[v1alpha1.ReplicasAnnotation] = req.replicas
	}
	if req.clear {
		line = map[string]any{v1alpha1.ClustersAnnotation: nil, v1alpha1.ReplicasAnnotation: nil}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": line}})
	if err != nil {
		return fmt.Errorf("writing the patch: %w", err)
	}
	_, err = o.resource(client).Patch(c.Context(), o.name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: placeManager})
	if apierrors.IsNotFound(err) {
		return noSuchObject(h, o)
	}
	if err != nil {
		return enroll.Diagnose(h.what, err)
	}
	done := "placed"
	if req.clear {
		done = "no longer placed by a line of its own"
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s\n", o, done)
	return err
}

func noSuchObject(h *hubAPI, o object) error {
	where := ""
	if o.namespace != "" {
		where = " in the namespace " + o.namespace
	}
	return failure("Apply it to the hub first (kubectl apply, or hanse place -f FILE), or name another with --namespace.",
		"there is no %s%s on %s", o, where, h.what)
}

// placeFile applies manifests with the line on each that can travel, in the order of the file. All are read before the
// first is written, so a typing error in the last changes nothing.
func placeFile(c *cobra.Command, h *hubAPI, client dynamic.Interface, req placeRequest) error {
	objects, err := readManifests(c.InOrStdin(), req.file)
	if err != nil {
		return err
	}
	mapper, err := h.mapper()
	if err != nil {
		return err
	}
	resources := make([]object, len(objects))
	for i, obj := range objects {
		if resources[i], err = h.locate(mapper, obj); err != nil {
			return err
		}
		if travels(obj.GroupVersionKind()) {
			obj.SetAnnotations(withLine(obj.GetAnnotations(), req))
		}
	}
	for i, obj := range objects {
		if err := applyOne(c.Context(), h, client, resources[i], obj, req.overwrite); err != nil {
			return err
		}
		done := "placed"
		if !travels(obj.GroupVersionKind()) {
			done = "applied"
		}
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%s %s\n", resources[i], done); err != nil {
			return err
		}
	}
	return nil
}

// travels tells whether the line belongs on objects of the kind. Namespaces are made in members on demand, and our own
// kinds stay on the hub.
func travels(kind schema.GroupVersionKind) bool {
	return kind.Group != v1alpha1.GroupVersion.Group && (kind.Group != "" || kind.Kind != "Namespace")
}

func withLine(annotations map[string]string, req placeRequest) map[string]string {
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.ClustersAnnotation] = req.to
	if req.replicas != "" {
		annotations[v1alpha1.ReplicasAnnotation] = req.replicas
	}
	return annotations
}

// locate finds where on the hub an object of a manifest belongs.
func (h *hubAPI) locate(mapper meta.RESTMapper, obj *unstructured.Unstructured) (object, error) {
	kind := obj.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		return object{}, failure("kubectl api-resources lists the kinds of the hub. Apply a CustomResourceDefinition first.",
			"%s does not know the kind %s of %s", h.what, kind, obj.GetName())
	}
	if err != nil {
		return object{}, enroll.Diagnose(h.what, err)
	}
	o := object{mapping: mapping, name: obj.GetName()}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		if o.namespace = obj.GetNamespace(); o.namespace == "" {
			o.namespace = h.namespace
			obj.SetNamespace(h.namespace)
		}
	}
	return o, nil
}

func applyOne(ctx context.Context, h *hubAPI, client dynamic.Interface, o object, obj *unstructured.Unstructured,
	overwrite bool) error {
	_, err := o.resource(client).Apply(ctx, o.name, obj, metav1.ApplyOptions{FieldManager: placeManager, Force: overwrite})
	switch {
	case apierrors.IsConflict(err):
		return failure("Place it with that tool, or take the fields over with --overwrite.", "%s: %v", o, err)
	case err != nil && enroll.ReasonOf(enroll.Diagnose(h.what, err)) == "":
		return failure("Nothing after it was applied; correct it and place the file again.", "%s: %v", o, err)
	}
	return enroll.Diagnose(h.what, err)
}

// readManifests reads all objects of a file, lists taken apart.
func readManifests(stdin io.Reader, path string) ([]*unstructured.Unstructured, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, &enroll.Problem{Reason: enroll.BadRequest, What: "the file of -f cannot be read",
				Next: "Name another; - is standard input.", Err: err}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(in, 4096)
	for n := 1; ; n++ {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(&obj.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, badManifest(path, n, err)
		}
		if len(obj.Object) == 0 {
			continue // an empty document
		}
		if err := unpack(obj, &objects); err != nil {
			return nil, badManifest(path, n, err)
		}
	}
	if len(objects) == 0 {
		return nil, badManifest(path, 1, errors.New("there is no object in it"))
	}
	return objects, nil
}

// unpack checks one document, and takes a List apart.
func unpack(obj *unstructured.Unstructured, objects *[]*unstructured.Unstructured) error {
	if obj.IsList() {
		return obj.EachListItem(func(item runtime.Object) error {
			return unpack(item.(*unstructured.Unstructured), objects)
		})
	}
	for _, field := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}} {
		value, _, err := unstructured.NestedString(obj.Object, field...)
		if err != nil || value == "" {
			return fmt.Errorf("%s is missing or no text", strings.Join(field, "."))
		}
	}
	*objects = append(*objects, obj)
	return nil
}

func badManifest(path string, n int, err error) error {
	return &enroll.Problem{Reason: enroll.BadRequest, What: fmt.Sprintf("document %d of %s is no manifest", n, path),
		Next: "Nothing was applied. kubectl apply --dry-run=client -f FILE shows what kubectl makes of it.", Err: err}
}
