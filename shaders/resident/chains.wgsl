{# The chains of fma that all values of products are, once for operands that are staged and for those that are read
   where they lie: so both have the same bits. An invocation has `acc_i_q` of each of its rows i and vec4s of columns q;
   the caller says where an operand is. #}
{# x W: four inputs of each row, in `x_i`; the caller gives the weights of input j to columns q. #}
{% macro forward_chain(tile) %}
{% for j in range(4) %}
{% for q in range(tile.thread_columns_4) %}
                    let w_{{ j }}_{{ q }} = {{ caller(j, q) | trim }};
{% for i in range(tile.thread_rows) %}
                    acc_{{ i }}_{{ q }} = fma(vec4<f32>(x_{{ i }}.{{ "xyzw"[j] }}), w_{{ j }}_{{ q }}, acc_{{ i }}_{{ q }});
{% endfor %}
{% endfor %}
{% endfor %}
{% endmacro %}
{# dy W^T: four outputs of each row, in `d_i`; the caller gives the weights of input j of the four at q. #}
{% macro backward_input_chain(tile) %}
{% for q in range(tile.thread_columns_4) %}
{% for j in range(4) %}
                    let w_{{ q }}_{{ j }} = {{ caller(q, j) | trim }};
{% endfor %}
{% for part in "xyzw" %}
                    let v_{{ q }}_{{ part }} = vec4<f32>(w_{{ q }}_0.{{ part }}, w_{{ q }}_1.{{ part }}, w_{{ q }}_2.{{ part }}, w_{{ q }}_3.{{ part }});
{% for i in range(tile.thread_rows) %}
                    acc_{{ i }}_{{ q }} = fma(vec4<f32>(d_{{ i }}.{{ part }}), v_{{ q }}_{{ part }}, acc_{{ i }}_{{ q }});
{% endfor %}
{% endfor %}
{% endfor %}
{% endmacro %}
{# x^T dy: one row of the batch, its inputs in `x_p`; the caller gives the gradients of columns q. #}
{% macro backward_weights_chain(tile) %}
{% for q in range(tile.thread_columns_4) %}
                    let d_{{ q }} = {{ caller(q) | trim }};
{% for p in range(tile.thread_rows // 4) %}
{% for part in "xyzw" %}
                    acc_{{ 4 * p + loop.index0 }}_{{ q }} = fma(vec4<f32>(x_{{ p }}.{{ part }}), d_{{ q }}, acc_{{ 4 * p + loop.index0 }}_{{ q }});
{% endfor %}
{% endfor %}
{% endfor %}
{% endmacro %}
