//go:build !race

package interop

// bulkSize is what the large transfer carries, bytes.
const bulkSize = 100_000_000
