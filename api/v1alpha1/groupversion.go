package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is hanse.io/v1alpha1.
var GroupVersion = schema.GroupVersion{Group: "hanse.io", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Cluster{}, &ClusterList{},
		&Placement{}, &PlacementList{},
		&ClusterPlacement{}, &ClusterPlacementList{},
		&Distribution{}, &DistributionList{},
		&GlobalService{}, &GlobalServiceList{},
		&Zone{}, &ZoneList{},
		&KindRule{}, &KindRuleList{},
		&Plan{}, &PlanList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
