package nat

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const (
	errNoProtocol = unix.EPROTONOSUPPORT
	errNoFamily   = unix.EAFNOSUPPORT
)

// The registers of nftables' expressions: values pass through them.
const (
	register      = 1
	firstRegister = 2 // of the ports of a translation
	lastRegister  = 3
)

// from matches packets that came in on the interface.
func from(name string) []expr.Any { return onInterface(expr.MetaKeyIIFNAME, name) }

// to matches packets that leave on the interface.
func to(name string) []expr.Any { return onInterface(expr.MetaKeyOIFNAME, name) }

func onInterface(key expr.MetaKey, name string) []expr.Any {
	var padded [unix.IFNAMSIZ]byte
	copy(padded[:], name)
	return []expr.Any{
		&expr.Meta{Key: key, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: padded[:]},
	}
}

func notICMP() (out []expr.Any) {
	for _, protocol := range []byte{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
		out = append(out,
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: []byte{protocol}})
	}
	return out
}

// unasked matches packets that belong to no flow that connection tracking knows.
func unasked() []expr.Any {
	known := binary.NativeEndian.AppendUint32(nil, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	none := make([]byte, 4)
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: register},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: known, Xor: none},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: none},
	}
}

// toOwnSocket matches packets that a socket of the namespace waits for.
func toOwnSocket() []expr.Any {
	// Loading anything of the socket ends the rule where there is none.
	return []expr.Any{&expr.Socket{Key: expr.SocketKeyWildcard, Register: register}}
}

func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }

func drop() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}} }

// translate matches packets of the address's family and gives their flow the address
// and one of the ports.
func translate(to netip.Addr, p Ports) []expr.Any {
	family := byte(unix.NFPROTO_IPV4)
	if to.Is6() {
		family = unix.NFPROTO_IPV6
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{family}},
		&expr.Immediate{Register: register, Data: to.AsSlice()},
		&expr.Immediate{Register: firstRegister, Data: binary.BigEndian.AppendUint16(nil, p.First)},
		&expr.Immediate{Register: lastRegister, Data: binary.BigEndian.AppendUint16(nil, p.Last)},
		&expr.NAT{
			Type: expr.NATTypeSourceNAT, Family: uint32(family), Specified: true,
			RegAddrMin: register, RegProtoMin: firstRegister, RegProtoMax: lastRegister,
		},
	}
}

// setPorts changes the ports of a rule that translate ends.
func setPorts(exprs []expr.Any, p Ports) {
	for _, e := range exprs {
		switch i, _ := e.(*expr.Immediate); {
		case i == nil:
		case i.Register == firstRegister:
			i.Data = binary.BigEndian.AppendUint16(nil, p.First)
		case i.Register == lastRegister:
			i.Data = binary.BigEndian.AppendUint16(nil, p.Last)
		}
	}
}

// portsIn returns the ports of a rule that translate ends.
func portsIn(exprs []expr.Any) (p Ports) {
	for _, e := range exprs {
		switch i, _ := e.(*expr.Immediate); {
		case i == nil || len(i.Data) < 2:
		case i.Register == firstRegister:
			p.First = binary.BigEndian.Uint16(i.Data)
		case i.Register == lastRegister:
			p.Last = binary.BigEndian.Uint16(i.Data)
		}
	}
	return p
}
