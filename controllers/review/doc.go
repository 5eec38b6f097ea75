// Package review carries plans into pull requests, and keeps what was shown there for the merge: a revision goes on when
// it does no more than that.
package review
