package native

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func columns(table *metav1.Table, wide bool) string {
	var names []string
	for _, c := range table.ColumnDefinitions {
		if wide || c.Priority == 0 {
			names = append(names, strings.ToUpper(c.Name))
		}
	}
	return strings.Join(names, " ")
}

func cells(table *metav1.Table) []string {
	var rows []string
	for _, row := range table.Rows {
		rows = append(rows, strings.Trim(fmt.Sprint(row.Cells...), "[]"))
	}
	return rows
}

func TestColumns(t *testing.T) {
	everywhere := TableOptions{Clusters: func(group, kind, namespace, name string) string {
		if name == "nowhere" {
			return ""
		}
		return "2/3"
	}}
	tests := []struct {
		manifest   string
		options    TableOptions
		narrow     string
		wide       string
		rowsPrefix string
	}{
		{
			manifest: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop},
				spec: {selector: {matchLabels: {a: b}}, template: {spec: {containers: [{name: c, image: nginx}]}}},
				status: {readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1}}`,
			options: everywhere,
			narrow:  "NAME READY UP-TO-DATE AVAILABLE CLUSTERS AGE",
			wide:    "NAME READY UP-TO-DATE AVAILABLE CLUSTERS AGE CONTAINERS IMAGES SELECTOR",
			// replicas is not set in the template: a member defaults it to 1.
			rowsPrefix: "web 1/1 1 1 2/3 <unknown> c nginx a=b",
		},
		{
			manifest: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: scaled},
				spec: {}, status: {replicas: 9, readyReplicas: 8, updatedReplicas: 9, availableReplicas: 8}}`,
			options: everywhere,
			narrow:  "NAME READY UP-TO-DATE AVAILABLE CLUSTERS AGE",
			wide:    "NAME READY UP-TO-DATE AVAILABLE CLUSTERS AGE CONTAINERS IMAGES SELECTOR",
			// autoscalers in the members say how many are wanted.
			rowsPrefix: "scaled 8/9 9 8 2/3",
		},
		{
			manifest: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: nowhere}, spec: {replicas: 0}}`,
			options:  everywhere,
			narrow:   "NAME READY UP-TO-DATE AVAILABLE CLUSTERS AGE",
			wide:     "NAME READY UP-TO-DATE AVAILABLE CLUSTERS AGE CONTAINERS IMAGES SELECTOR",

			rowsPrefix: "nowhere 0/0 0 0 <none> <unknown>",
		},
		{
			manifest:   `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}`,
			narrow:     "NAME READY UP-TO-DATE AVAILABLE AGE",
			wide:       "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR",
			rowsPrefix: "web 0/1 0 0 <unknown>",
		},
		{
			manifest:   `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {replicas: 3}}`,
			options:    everywhere,
			narrow:     "NAME READY CLUSTERS AGE",
			wide:       "NAME READY CLUSTERS AGE CONTAINERS IMAGES",
			rowsPrefix: "db 0/3 2/3 <unknown>",
		},
		{
			manifest:   `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: log}}`,
			options:    everywhere,
			narrow:     "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR CLUSTERS AGE",
			wide:       "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR CLUSTERS AGE CONTAINERS IMAGES SELECTOR",
			rowsPrefix: "log 0 0 0 0 0 <none> 2/3 <unknown>",
		},
		{
			manifest:   `{apiVersion: batch/v1, kind: Job, metadata: {name: once}}`,
			options:    everywhere,
			narrow:     "NAME STATUS COMPLETIONS DURATION CLUSTERS AGE",
			wide:       "NAME STATUS COMPLETIONS DURATION CLUSTERS AGE CONTAINERS IMAGES SELECTOR",
			rowsPrefix: "once Running 0/1  2/3 <unknown>",
		},
		{
			manifest:   `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}`,
			options:    everywhere,
			narrow:     "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE",
			wide:       "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR",
			rowsPrefix: "web ClusterIP <none> <none> 80/TCP <unknown>",
		},
		{
			manifest:   `{apiVersion: v1, kind: LimitRange, metadata: {name: a}}`,
			narrow:     "NAME CREATED AT",
			wide:       "NAME CREATED AT",
			rowsPrefix: "a ",
		},
	}
	for _, test := range tests {
		obj := decode(t, strings.ReplaceAll(test.manifest, "\t", ""))
		gvk, err := kindOf(obj)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(gvk.Kind, func(t *testing.T) {
			before := obj.DeepCopyObject()
			table, err := TableConvertor(gvk, test.options).ConvertToTable(context.Background(), obj, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := columns(table, false); got != test.narrow {
				t.Errorf("columns\n got %s\nwant %s", got, test.narrow)
			}
			if got := columns(table, true); got != test.wide {
				t.Errorf("wide columns\n got %s\nwant %s", got, test.wide)
			}
			if len(table.Rows) != 1 || len(table.Rows[0].Cells) != len(table.ColumnDefinitions) {
				t.Fatalf("rows %v do not fit columns %s", cells(table), columns(table, true))
			}
			if got := rowText(table.Rows[0]); !strings.HasPrefix(got, test.rowsPrefix) {
				t.Errorf("row\n got %q\nwant prefix %q", got, test.rowsPrefix)
			}
			if table.Rows[0].Object.Object != obj {
				t.Errorf("the row carries a %T, not the object given", table.Rows[0].Object.Object)
			}
			if diff := cmp.Diff(before, obj); diff != "" {
				t.Errorf("the object was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func rowText(row metav1.TableRow) string {
	var texts []string
	for _, cell := range row.Cells {
		texts = append(texts, fmt.Sprint(cell))
	}
	return strings.Join(texts, " ")
}

func TestListKeepsOrderVersionAndPosition(t *testing.T) {
	list := &appsv1.DeploymentList{
		ListMeta: metav1.ListMeta{ResourceVersion: "42", Continue: "more"},
		Items: []appsv1.Deployment{
			{ObjectMeta: metav1.ObjectMeta{Name: "b"}},
			{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
		},
	}
	gvk := appsv1.SchemeGroupVersion.WithKind("Deployment")
	convertor := TableConvertor(gvk, TableOptions{Clusters: func(_, _, _, name string) string { return "in-" + name }})
	table, err := convertor.ConvertToTable(context.Background(), list, &metav1.TableOptions{NoHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
	if table.ResourceVersion != "42" || table.Continue != "more" || len(table.ColumnDefinitions) != 0 {
		t.Errorf("list metadata %+v, headers %s", table.ListMeta, columns(table, true))
	}
	for i, want := range []string{"b", "a"} {
		row := table.Rows[i]
		if row.Cells[0] != want || row.Cells[4] != "in-"+want || row.Object.Object.(*appsv1.Deployment).Name != want {
			t.Errorf("row %d is %q with %v, want %s", i, rowText(row), row.Object.Object, want)
		}
	}
}

func TestUnknownKindGetsDefaultColumns(t *testing.T) {
	gvk := metav1.SchemeGroupVersion.WithKind("Thing")
	var obj runtime.Object = &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
	table, err := TableConvertor(gvk, TableOptions{}).ConvertToTable(context.Background(), obj, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := columns(table, true); got != "NAME CREATED AT" {
		t.Errorf("columns %s", got)
	}
}

// BenchmarkTable prints a page of 500 Deployments, which is what kubectl asks for at once.
func BenchmarkTable(b *testing.B) {
	list := &appsv1.DeploymentList{Items: make([]appsv1.Deployment, 500)}
	convertor := TableConvertor(appsv1.SchemeGroupVersion.WithKind("Deployment"), TableOptions{})
	for b.Loop() {
		if _, err := convertor.ConvertToTable(context.Background(), list, nil); err != nil {
			b.Fatal(err)
		}
	}
}
