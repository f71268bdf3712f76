/**
 * BERT (Devlin et al., arXiv 1810.04805), RoBERTa (Liu et al., arXiv 1907.11692) and DistilBERT (Sanh et al., arXiv
 * 1910.01108): one post-norm encoder whose families differ in names, in how positions are counted and in whether
 * texts of a pair are marked. DeBERTa's block is the same around another attention.
 */
package dev.jotune.models.bert;
