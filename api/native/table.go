package native

import (
	"context"
	"fmt"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/apis/apps"
	"k8s.io/kubernetes/pkg/printers"
	printersinternal "k8s.io/kubernetes/pkg/printers/internalversion"
)

// TableOptions says what the printed columns of a kind show beyond upstream's.
type TableOptions struct {
	// Clusters returns the text of the CLUSTERS column of a workload, for example "2/3"; "" prints as <none>.
	// It is called once a row and must be quick. Nil: there is no such column.
	Clusters func(group, kind, namespace, name string) string
}

// withClusters are the workloads that get a CLUSTERS column, before AGE.
var withClusters = map[schema.GroupKind]bool{
	{Group: "apps", Kind: "Deployment"}:        true,
	{Group: "apps", Kind: "ReplicaSet"}:        true,
	{Group: "apps", Kind: "StatefulSet"}:       true,
	{Group: "apps", Kind: "DaemonSet"}:         true,
	{Group: "batch", Kind: "Job"}:              true,
	{Group: "batch", Kind: "CronJob"}:          true,
	{Group: "", Kind: "ReplicationController"}: true,
	{Group: "", Kind: "Pod"}:                   true,
}

var clustersColumn = metav1.TableColumnDefinition{
	Name: "Clusters", Type: "string", Description: "The member clusters that hold this object.",
}

var upstreamTables = sync.OnceValue(func() printers.TableGenerator {
	return printers.NewTableGenerator().With(printersinternal.AddHandlers)
})

// TableConvertor returns the printer of one kind: upstream's columns, with CLUSTERS before AGE for workloads. A kind
// that upstream has no printer for gets the columns NAME and CREATED AT.
func TableConvertor(gvk schema.GroupVersionKind, opts TableOptions) rest.TableConvertor {
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	return tableConvertor{
		kind:     gvk,
		options:  opts,
		fallback: rest.NewDefaultTableConvertor(plural.GroupResource()),
	}
}

type tableConvertor struct {
	kind     schema.GroupVersionKind
	options  TableOptions
	fallback rest.TableConvertor
}

// ConvertToTable prints one object or a list. The rows carry the objects given, not copies in another version.
func (c tableConvertor) ConvertToTable(
	ctx context.Context, object runtime.Object, options runtime.Object,
) (*metav1.Table, error) {
	internal, err := toInternal(object, c.kindOfPrinted(object))
	if err != nil {
		return c.fallback.ConvertToTable(ctx, object, options)
	}
	asRunning(internal, object)
	table, err := upstreamTables().GenerateTable(internal, printers.GenerateOptions{Wide: true})
	if err != nil {
		return c.fallback.ConvertToTable(ctx, object, options)
	}
	if err := restoreObjects(table, object); err != nil {
		return nil, fmt.Errorf("print %s: %w", c.kind.Kind, err)
	}
	if c.options.Clusters != nil && withClusters[c.kind.GroupKind()] {
		c.addClusters(table)
	}
	// Only the first event of a watch wants headers. They are dropped last, because they say where columns stand.
	if o, ok := options.(*metav1.TableOptions); ok && o != nil && o.NoHeaders {
		table.ColumnDefinitions = nil
	}
	return table, nil
}

// asRunning shows, of workloads that name no number of replicas, how many run: autoscalers in the members say how many
// are wanted, and on the hub nobody writes it into the template.
func asRunning(internal, object runtime.Object) {
	switch in := internal.(type) {
	case *apps.Deployment:
		if of, is := object.(*appsv1.Deployment); is && of.Spec.Replicas == nil {
			in.Spec.Replicas = max(in.Spec.Replicas, of.Status.Replicas)
		}
	case *apps.StatefulSet:
		if of, is := object.(*appsv1.StatefulSet); is && of.Spec.Replicas == nil {
			in.Spec.Replicas = max(in.Spec.Replicas, of.Status.Replicas)
		}
	case *apps.DeploymentList:
		if of, is := object.(*appsv1.DeploymentList); is && len(of.Items) == len(in.Items) {
			for i := range in.Items {
				asRunning(&in.Items[i], &of.Items[i])
			}
		}
	case *apps.StatefulSetList:
		if of, is := object.(*appsv1.StatefulSetList); is && len(of.Items) == len(in.Items) {
			for i := range in.Items {
				asRunning(&in.Items[i], &of.Items[i])
			}
		}
	}
}

func (c tableConvertor) kindOfPrinted(object runtime.Object) schema.GroupVersionKind {
	if meta.IsListType(object) {
		return c.kind.GroupVersion().WithKind(c.kind.Kind + "List")
	}
	return c.kind
}

// restoreObjects puts the versioned objects back into the rows, which upstream prints one an object and in order.
func restoreObjects(table *metav1.Table, object runtime.Object) error {
	if !meta.IsListType(object) {
		for i := range table.Rows {
			table.Rows[i].Object.Object = object
		}
		return nil
	}
	items, err := meta.ExtractList(object)
	if err != nil {
		return fmt.Errorf("take list apart: %w", err)
	}
	if len(items) != len(table.Rows) {
		return fmt.Errorf("%d rows for %d objects", len(table.Rows), len(items))
	}
	for i := range items {
		table.Rows[i].Object.Object = items[i]
	}
	return nil
}

func (c tableConvertor) addClusters(table *metav1.Table) {
	at := slices.IndexFunc(table.ColumnDefinitions, func(d metav1.TableColumnDefinition) bool { return d.Name == "Age" })
	if at < 0 {
		at = len(table.ColumnDefinitions)
	}
	table.ColumnDefinitions = slices.Insert(slices.Clone(table.ColumnDefinitions), at, clustersColumn)
	for i := range table.Rows {
		row := &table.Rows[i]
		m, err := meta.Accessor(row.Object.Object)
		if err != nil {
			continue
		}
		text := orDefault(c.options.Clusters(c.kind.Group, c.kind.Kind, m.GetNamespace(), m.GetName()), "<none>")
		row.Cells = slices.Insert(row.Cells, at, any(text))
	}
}
