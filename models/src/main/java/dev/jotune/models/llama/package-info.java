/** Llama (Touvron et al., arXiv 2302.13971 and 2307.09288; Grattafiori et al., arXiv 2407.21783). */
package dev.jotune.models.llama;
