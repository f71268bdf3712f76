/** GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019). */
package dev.jotune.models.gpt2;
