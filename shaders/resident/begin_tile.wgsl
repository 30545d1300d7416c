{% for q in range(tile.thread_columns_4) %}
            let column_{{ q }} = column + lane + {{ q * tile.lanes }}u;
{% for i in range(tile.thread_rows) %}
            var acc_{{ i }}_{{ q }} = vec4<f32>(0.0);
{% endfor %}
{% endfor %}
