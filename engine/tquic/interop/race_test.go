//go:build race

package interop

// bulkSize is what the large transfer carries, bytes. The race detector makes 100 MB
// take longer than all other cases together.
const bulkSize = 16_000_000
