package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json" // keeps integers
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// getRequest is what get is asked for.
type getRequest struct {
	kind, name string
	everywhere bool
	selector   string
	fields     string
	clusters   []string
}

func newGet(hub *access) *cobra.Command {
	var req getRequest
	c := &cobra.Command{
		Use:   "get KIND [NAME]",
		Short: "Objects of all members in one table",
		Long: `Objects as they are in the members, whoever made them, in one table with the column CLUSTER. What is on the hub
itself, kubectl get shows.

The exit code is 3 if some members did not answer; standard error says which and why.`,
		Example: `  hanse get pods -n shop -l app=web
  hanse get nodes
  hanse get deployment web --cluster east --cluster west -o yaml`,
		Args: cobra.MatchAll(cobra.MinimumNArgs(1), cobra.MaximumNArgs(2)),
	}
	output := formatFlag(c, asWide, asJSON, asYAML)
	f := c.Flags()
	f.BoolVarP(&req.everywhere, "all-namespaces", "A", false, "of all namespaces")
	f.StringVarP(&req.selector, "selector", "l", "", "only objects with these labels")
	f.StringVar(&req.fields, "field-selector", "", "only objects with these fields")
	clusterFlag(c, hub, &req.clusters)
	c.RunE = func(c *cobra.Command, args []string) error {
		req.kind = args[0]
		if len(args) == 2 {
			req.name = args[1]
		} else if kind, name, ok := strings.Cut(req.kind, "/"); ok {
			req.kind, req.name = kind, name
		}
		h, err := hub.connect()
		if err != nil {
			return err
		}
		return runGet(c, h, req, *output)
	}
	return c
}

// clusterFlag adds --cluster, which chooses members.
func clusterFlag(c *cobra.Command, hub *access, into *[]string) {
	c.Flags().StringSliceVar(into, "cluster", nil, "only this member; may be repeated (default: all that have it)")
	_ = c.RegisterFlagCompletionFunc("cluster", completeClusters(hub))
}

func runGet(c *cobra.Command, h *hubAPI, req getRequest, output format) error {
	ctx := c.Context()
	names, err := h.clusterNames(ctx, req.clusters)
	if err != nil {
		return err
	}
	mapping, err := h.kindInMembers(names, req.kind)
	if err != nil {
		return err
	}
	namespace := ""
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace && !req.everywhere {
		namespace = h.namespace
	}
	p := startProgress(c.ErrOrStderr())
	p.say(fmt.Sprintf("asking %d clusters", len(names)))
	tables := make([]*metav1.Table, len(names))
	silent := askEach(names, func(i int, name string) (err error) {
		tables[i], err = h.tableOf(ctx, name, mapping, namespace, req)
		return err
	})
	p.stop()
	merged := mergeTables(names, tables, req.everywhere && mapping.Scope.Name() == meta.RESTScopeNameNamespace)
	what := mapping.Resource.Resource
	if req.name != "" {
		what += " " + req.name
	}
	merged.empty = fmt.Sprintf("no %s in the clusters that answered", what)
	if len(silent) < len(names) {
		if err := merged.print(c, output); err != nil {
			return err
		}
	}
	return outcomeOf(c.ErrOrStderr(), len(names), silent)
}

// kindInMembers finds a kind that the hub knows or, if it does not (nodes, say), that a member does.
func (h *hubAPI) kindInMembers(names []string, kind string) (*meta.RESTMapping, error) {
	mapper, err := h.mapper()
	if err != nil {
		return nil, err
	}
	mapping, err := kindNamed(mapper, kind)
	if err == nil {
		return mapping, nil
	}
	for _, name := range names {
		there := &hubAPI{config: h.inMember(name), what: name}
		mapper, failed := there.mapper()
		if failed != nil {
			continue
		}
		if mapping, failed = kindNamed(mapper, kind); failed == nil {
			return mapping, nil
		}
	}
	if meta.IsNoMatchError(err) {
		return nil, failure("kubectl api-resources lists the kinds of the hub.",
			"neither %s nor a cluster that answers knows a kind %q", h.what, kind)
	}
	return nil, enroll.Diagnose(h.what, err)
}

// tableOf asks one member for the table that kubectl would show, with the objects in it.
func (h *hubAPI) tableOf(ctx context.Context, cluster string, mapping *meta.RESTMapping, namespace string,
	req getRequest) (*metav1.Table, error) {
	config := h.inMember(cluster)
	gv := mapping.GroupVersionKind.GroupVersion()
	config.GroupVersion, config.APIPath = &gv, "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of %s: %w", cluster, err)
	}
	fields := req.fields
	if req.name != "" { // a list of one: a member that has none is no failure
		fields = strings.Trim("metadata.name="+req.name+","+fields, ",")
	}
	ask := client.Get().NamespaceIfScoped(namespace, namespace != "").Resource(mapping.Resource.Resource).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").
		Param("includeObject", string(metav1.IncludeObject)).
		VersionedParams(&metav1.ListOptions{LabelSelector: req.selector, FieldSelector: fields}, metav1.ParameterCodec)
	result := ask.Do(ctx)
	if err := result.Error(); err != nil { // Raw alone would not read the Status
		return nil, err
	}
	raw, err := result.Raw()
	if err != nil {
		return nil, err
	}
	table := &metav1.Table{}
	if err := utiljson.Unmarshal(raw, table); err != nil || table.Kind != "Table" {
		return nil, fmt.Errorf("it answers with a %q instead of a table: %w", table.Kind, err)
	}
	return table, nil
}

// clusterAnnotation tells in json and yaml where an object is. It is in no cluster itself.
const clusterAnnotation = "hanse.io/cluster"

// mergeTables puts the members' tables one below the other. Members of other versions may have other columns: the first
// says which are shown.
func mergeTables(names []string, tables []*metav1.Table, withNamespace bool) printed {
	p := printed{head: []string{"CLUSTER"}}
	if withNamespace {
		p.head = append(p.head, "NAMESPACE")
	}
	var columns []string
	items := []any{}
	for i, table := range tables {
		if table == nil {
			continue
		}
		if columns == nil {
			var wide []string
			for _, c := range table.ColumnDefinitions {
				if c.Priority == 0 {
					columns = append(columns, c.Name)
				} else {
					wide = append(wide, c.Name)
				}
			}
			columns = append(columns, wide...)
			p.wide = len(wide)
			for _, c := range columns {
				p.head = append(p.head, strings.ToUpper(c))
			}
		}
		for _, row := range table.Rows {
			obj := &unstructured.Unstructured{}
			_ = obj.UnmarshalJSON(row.Object.Raw) // without it there is a row still
			cells := []string{names[i]}
			if withNamespace {
				cells = append(cells, obj.GetNamespace())
			}
			p.rows = append(p.rows, append(cells, pick(table, row, columns)...))
			annotations := obj.GetAnnotations()
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[clusterAnnotation] = names[i]
			obj.SetAnnotations(annotations)
			items = append(items, obj.Object)
		}
	}
	p.value = map[string]any{"apiVersion": "v1", "kind": "List", "items": items}
	return p
}

// pick takes the cells of a row by the names of their columns.
func pick(table *metav1.Table, row metav1.TableRow, columns []string) []string {
	cells := make([]string, len(columns))
	for i, name := range columns {
		at := slices.IndexFunc(table.ColumnDefinitions, func(c metav1.TableColumnDefinition) bool { return c.Name == name })
		if at < 0 || at >= len(row.Cells) || row.Cells[at] == nil {
			cells[i] = "<none>"
			continue
		}
		cells[i] = fmt.Sprint(row.Cells[at])
	}
	return cells
}
