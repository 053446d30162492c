package placement

// Code names a reason for machines; the list is part of the contract.
type Code string

// Why a cluster has what it has.
const (
	CodeShare     Code = "Share"     // its share of the division
	CodePacked    Code = "Packed"    // filled before the next cluster is used
	CodeCopy      Code = "Copy"      // a whole copy
	CodeOnlyOne   Code = "OnlyOne"   // the one cluster of an object that lives in one
	CodeKept      Code = "Kept"      // keeps what it has and gets nothing new; the message says why
	CodeMoving    Code = "Moving"    // replicas are on the way to or from it
	CodeStandIn   Code = "StandIn"   // lost or drained, but nobody else can take these replicas
	CodeScaleZero Code = "ScaleZero" // holds the object while it is scaled to zero
)

// Why a cluster gets nothing, or nothing new.
const (
	CodeNotSelected    Code = "NotSelected"
	CodeZeroWeight     Code = "ZeroWeight"
	CodeExpression     Code = "ExpressionFailed"
	CodeNotReady       Code = "NotReady"
	CodeLost           Code = "Lost"
	CodePaused         Code = "Paused"
	CodeDraining       Code = "Draining"
	CodeCordoned       Code = "Cordoned"
	CodeNotPermitted   Code = "NotPermitted"
	CodeNoAPI          Code = "NoAPI"
	CodeTaint          Code = "Taint"
	CodeTaintSoon      Code = "TaintTolerated"
	CodeJustBack       Code = "JustBack"
	CodeNoCapacity     Code = "NoCapacity"
	CodeCapacityHidden Code = "CapacityUnknown"
	CodeUnschedulable  Code = "Unschedulable"
	CodeNoGroup        Code = "NoGroup"
	CodeSpreadMax      Code = "SpreadMax"
	CodeSmallShare     Code = "SmallShare"
	CodeHigherTier     Code = "HigherTier"
	CodeNotNeeded      Code = "NotNeeded"
	CodeMaxZero        Code = "MaxZero"
	CodeBlocked        Code = "SpreadBlocks"
)

// What concerns the placement as a whole.
const (
	CodeNoSuchCluster   Code = "NoSuchCluster"
	CodeNothingSelected Code = "NothingSelected"
	CodeSpreadUnmet     Code = "SpreadUnsatisfied"
	CodeSpreadUndecided Code = "SpreadUndecided" // the search met its limit before it found or excluded a way
	CodeNoClusters      Code = "NoClusters"
	CodeFull            Code = "Full"
	CodeAtMax           Code = "AtMax"
	CodeWaiting         Code = "MoveWaits"
	CodeMinimaTooHigh   Code = "MinimaTooHigh"
	CodeOverflow        Code = "Overflow"
	CodeGone            Code = "Gone"
	CodeScaled          Code = "Scaled"
	CodeRebalanced      Code = "Rebalanced"
	CodeTakesOver       Code = "TakesOver"
	CodeNew             Code = "New"
)
