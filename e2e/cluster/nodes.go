package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// createNodes writes the nodes for kwok to play, and the storage class of the
// volumes that it makes.
func createNodes(ctx context.Context, client kubernetes.Interface, cluster string, kubelet int, opts Options) error {
	if opts.Nodes == 0 {
		return nil
	}
	server, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("asking for the server's version: %w", err)
	}
	if _, err := client.StorageV1().StorageClasses().Create(ctx, storageClass(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the storage class: %w", err)
	}
	for i := range opts.Nodes {
		node := nodeFor(cluster, i, opts)
		node.Status.NodeInfo.KubeletVersion = server.GitVersion
		node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(kubelet)
		if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating node %s: %w", node.Name, err)
		}
	}
	return nil
}

// nodeFor is the node number i, counted from 0.
func nodeFor(cluster string, i int, opts Options) *corev1.Node {
	name := fmt.Sprintf("%s-node-%d", cluster, i+1)
	labels := map[string]string{
		corev1.LabelHostname:   name,
		corev1.LabelOSStable:   "linux",
		corev1.LabelArchStable: "amd64",
	}
	maps.Copy(labels, topologyOf(i, opts))
	maps.Copy(labels, opts.NodeLabels)
	capacity := capacityOf(opts)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: capacity,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.0.%d.%d", (i+1)/256, (i+1)%256)},
				{Type: corev1.NodeHostName, Address: name},
				{Type: corev1.NodeInternalDNS, Address: "localhost"}, // of the kubelet
			},
			NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64", OSImage: "kwok"},
		},
	}
}

// storageClass is the default class, as a cloud has one. The provisioner is
// kwok (see kwok.yaml).
func storageClass() *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "standard",
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner: "e2e.hanse.io/volumes",
	}
}

// topologyOf are the region and zone labels of node number i.
func topologyOf(i int, opts Options) map[string]string {
	labels := map[string]string{}
	if opts.Region != "" {
		labels[corev1.LabelTopologyRegion] = opts.Region
	}
	if len(opts.Zones) > 0 {
		labels[corev1.LabelTopologyZone] = opts.Zones[i%len(opts.Zones)]
	}
	return labels
}

// capacityOf is the capacity asked for over the default one.
func capacityOf(opts Options) corev1.ResourceList {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("32"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("250"),
	}
	maps.Copy(capacity, opts.Capacity)
	return capacity
}

// waitForNodes waits until all nodes are Ready and, if there is a controller
// to do so, until the taint of a node that is not ready is taken away.
func waitForNodes(ctx context.Context, client kubernetes.Interface, opts Options) error {
	var waiting string
	err := wait.PollUntilContextCancel(ctx, readinessPace, true, func(ctx context.Context) (bool, error) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			waiting = err.Error()
			return false, nil
		}
		for _, node := range nodes.Items {
			if !isReady(node) || opts.Controllers && hasConditionTaint(node) {
				waiting = fmt.Sprintf("%s has conditions %v and taints %v",
					node.Name, node.Status.Conditions, node.Spec.Taints)
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for nodes: %w: %s", err, waiting)
	}
	return nil
}

// hasConditionTaint says whether a controller keeps pods off the node because
// of the node's condition.
func hasConditionTaint(node corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool {
		return strings.HasPrefix(taint.Key, "node.kubernetes.io/")
	})
}

func isReady(node corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// waitForServiceAccount waits until pods can be created in the namespace
// default: admission refuses them before their ServiceAccount is there.
func waitForServiceAccount(ctx context.Context, client kubernetes.Interface) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, readinessPace, true, func(ctx context.Context) (bool, error) {
		_, last = client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the ServiceAccount default: %w: %v", err, last)
	}
	return nil
}
