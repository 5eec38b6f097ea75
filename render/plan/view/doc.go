// Package view shows plans: as text for people and as versioned JSON for machines. Both are drawn from the same plans and
// decide nothing.
package view
