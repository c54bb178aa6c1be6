package policy

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxDepth bounds how deep a file nests. The parser of HCL has no bound, and takes the process with it
// where its stack ends.
const maxDepth = 100

// A level is a bracket that is open.
type level struct {
	closer hclsyntax.TokenType
	// operators are those of the expression at this level so far, each of which nests what stands
	// before it or after it.
	operators int
	// lines says that a line end ends the expression.
	lines bool
}

var closers = map[hclsyntax.TokenType]hclsyntax.TokenType{
	hclsyntax.TokenOParen:          hclsyntax.TokenCParen,
	hclsyntax.TokenOBrack:          hclsyntax.TokenCBrack,
	hclsyntax.TokenOBrace:          hclsyntax.TokenCBrace,
	hclsyntax.TokenOQuote:          hclsyntax.TokenCQuote,
	hclsyntax.TokenOHeredoc:        hclsyntax.TokenCHeredoc,
	hclsyntax.TokenTemplateInterp:  hclsyntax.TokenTemplateSeqEnd,
	hclsyntax.TokenTemplateControl: hclsyntax.TokenTemplateSeqEnd,
}

// tooDeep returns the offset of the token that nests deeper than maxDepth; -1 if none does.
func tooDeep(tokens hclsyntax.Tokens) int {
	levels := []level{{lines: true}}
	depth := 0
	for i, t := range tokens {
		top := &levels[len(levels)-1]
		operator := func() { top.operators, depth = top.operators+1, depth+1 }
		switch t.Type {
		case top.closer:
			depth -= 1 + top.operators
			levels = levels[:len(levels)-1]
			if top = &levels[len(levels)-1]; t.Type == hclsyntax.TokenCBrack {
				operator() // as an index
			}
		case hclsyntax.TokenComma:
			depth, top.operators = depth-top.operators, 0
		case hclsyntax.TokenNewline:
			if top.lines {
				depth, top.operators = depth-top.operators, 0
			}
		case hclsyntax.TokenMinus, hclsyntax.TokenBang, hclsyntax.TokenQuestion, hclsyntax.TokenPlus,
			hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPercent, hclsyntax.TokenAnd,
			hclsyntax.TokenOr, hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan,
			hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenDot:
			operator()
		case hclsyntax.TokenTemplateControl:
			operator() // of an if or for, which ends at a control of its own
		}
		if closer, ok := closers[t.Type]; ok {
			lines := t.Type == hclsyntax.TokenOBrace && !isFor(tokens[i+1:])
			levels = append(levels, level{closer: closer, lines: lines})
			depth++
		}
		if depth > maxDepth {
			return t.Range.Start.Byte
		}
	}
	return -1
}

// isFor reports whether an object begins as a for expression, in which line ends are spaces.
func isFor(tokens hclsyntax.Tokens) bool {
	for _, t := range tokens {
		if t.Type != hclsyntax.TokenNewline && t.Type != hclsyntax.TokenComment {
			return t.Type == hclsyntax.TokenIdent && string(t.Bytes) == "for"
		}
	}
	return false
}
