// Package plan decides what a wanted state would change, how bad that is, and whether it may go on.
//
// The shell gathers [Pair] values (wanted, live, what the API server would store, Cluster API's verdict on each Machine);
// [Compute] turns them into a [Plan], a value with a digest; [Gate] sums the plans of a Fleet against its [Limits] and the
// approvals. Nothing here reads or writes anything, and the same input yields the same bytes.
//
// [Change.Severity] and [Change.Machines] decide; [Change.Reason] is for people, and nothing branches on it.
package plan
